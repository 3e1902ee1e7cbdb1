import math

import pytest

from dashboards.cells import tabulate
from dashboards.findings.axes import axis_findings
from dashboards.findings.checks import Kind
from tests.fakes.results import finished, results, sweep, trial

AXES = {"conditioning": ["sequence", "feature"], "photometric.strength": [1.0, 0.25], "predictor.depth": [2, 4]}
TWO = {"conditioning": ["sequence", "feature"], "predictor.depth": [2, 4]}


def findings(mrr, *, axes=AXES, seeds=(0,), **more):
    """(kind, text) of each finding; MRR is `mrr(levels)`, with a small change by seed."""
    measure = lambda levels, seed: {"mrr": mrr(levels) + 0.001 * seed * seed, "mrr_floor": 0.024, **more}  # noqa: E731
    return [(found.kind, found.text) for found in axis_findings(tabulate(sweep(axes, measure=measure, seeds=seeds)))]


def about(words, *args, **kwargs):
    """The findings with these words."""
    return [(kind, text) for kind, text in findings(*args, **kwargs) if words in text]


def stronger(levels):
    return {"sequence": 0.15, "feature": 0.21}[levels["conditioning"]] + 0.2 * (levels["photometric.strength"] == 1.0)


def test_a_trend_in_every_pairing_is_supported():
    ((kind, text),) = about("tronger augmentation", stronger)
    assert kind is Kind.SUPPORTED
    for figures in (
        "in all 4 pairings",
        "0.25 to 1.0 by 0.20",
        "sequence 0.15 to 0.35, feature 0.21 to 0.41",
    ):
        assert figures in text
    ((_, text),) = about("tronger augmentation", stronger, seeds=range(3))
    assert "by 0.20 ± 0.00" in text


def test_signs_that_differ_are_no_trend():
    def mixed(levels):
        gain = {("sequence", 1.0): 0.02, ("sequence", 0.25): 0.04, ("feature", 1.0): -0.03, ("feature", 0.25): 0.01}
        return 0.3 + gain[levels["conditioning"], levels["photometric.strength"]] * (levels["predictor.depth"] == 4)

    ((kind, text),) = about("Predictor depth", mixed)
    assert kind is Kind.UNSUPPORTED
    assert "rises in 3 and falls in 1 of 4 pairings (-0.03 to +0.04)" in text


def test_a_small_difference_needs_several_seeds():
    ((kind, text),) = about("Predictor depth", lambda levels: 0.3 - 0.005 * levels["predictor.depth"])
    assert kind is Kind.UNSUPPORTED
    assert "falls by 0.01" in text
    assert "0.05" in text
    depth = {"predictor.depth": [2, 4]}
    several = findings(lambda levels: 0.3 - 0.005 * levels["predictor.depth"], axes=depth, seeds=(0, 1))
    assert [kind for kind, _ in several] == [Kind.SUPPORTED]


def test_a_part_may_stand_alone_where_the_whole_does_not():
    def split(levels):
        sign = {"sequence": 0.1, "feature": -0.01}[levels["conditioning"]]
        return 0.3 + sign * (levels["predictor.depth"] == 4)

    found = findings(split)
    (at,) = (at for at, (_, text) in enumerate(found) if text.startswith("Predictor depth"))
    whole, part = found[at : at + 2]
    assert (whole[0], part[0]) == (Kind.UNSUPPORTED, Kind.SUPPORTED)
    assert part[1].startswith("Within conditioning sequence")


def test_a_peak_in_between_is_named():
    peak = {1: 0.1, 2: 0.4, 4: 0.3}
    ((kind, text),) = findings(lambda levels: peak[levels["optim.lr"]], axes={"optim.lr": [1, 2, 4]})
    assert kind is Kind.SUPPORTED
    assert "from optim lr 1 to 4 by 0.20" in text
    assert "not from 2 to 4" in text


def test_the_best_cell_and_the_others_at_its_setting():
    best, ranked, *_ = findings(
        lambda levels: 0.3 + 0.11 * (levels["conditioning"] == "feature") - 0.01 * levels["predictor.depth"], axes=TWO
    )
    assert (best[0], ranked[0]) == (Kind.SUPPORTED, Kind.SUPPORTED)
    assert "feature reaches MRR 0.39 (predictor depth 2)" in best[1]
    assert "sequence reaches 0.28" in best[1]
    assert "0.11" in ranked[1]


@pytest.mark.parametrize(
    ("by_depth", "figures"), [({2: 0.2, 4: -0.1}, "-0.10 to +0.20"), ({2: 0.01, 4: 0.01}, "0.01 on average")]
)
def test_a_difference_without_a_clear_verdict_is_inconclusive(by_depth, figures):
    _, (kind, text), *_ = findings(
        lambda levels: 0.3 + (levels["conditioning"] == "feature") * by_depth[levels["predictor.depth"]], axes=TWO
    )
    assert kind is Kind.UNSUPPORTED
    assert "inconclusive" in text
    assert figures in text


def test_several_seeds_show_intervals():
    (_, best), (_, ranked), *_ = findings(
        lambda levels: 0.3 + 0.1 * (levels["conditioning"] == "feature"), axes=TWO, seeds=range(3)
    )
    assert "0.40 ± 0.01" in best
    assert "0.10 ± 0.00" in ranked


def test_a_cell_with_nothing_beside_it_is_named_once():
    axes = {"conditioning": ["none", "feature"], "data.dataset": ["a", "b"]}
    only = {"conditioning": "feature", "data.dataset": "a"}
    alone = findings(lambda levels: 0.3 if levels == only else math.nan, axes=axes)
    assert [text.count("reaches") for _, text in alone] == [1]


def test_at_the_floor_everywhere_the_budget_is_too_small():
    ((kind, text),) = findings(lambda _: 0.028)
    assert kind is Kind.UNSUPPORTED
    for figure in ("0.028", "0.024", "100 steps"):
        assert figure in text


def test_pairs_at_the_floor_do_not_count():
    def mrr(levels):
        return {"sequence": 0.025, "feature": 0.1 * levels["predictor.depth"]}[levels["conditioning"]]

    ((kind, text),) = about("deeper predictor", mrr, axes=TWO)
    assert kind is Kind.SUPPORTED
    assert "the only pairing" in text


def test_blind_collapsed_and_nan_cells_are_not_read():
    blind = findings(lambda levels: 0.3, axes={"conditioning": ["none", "feature"], "predictor.depth": [2, 4]})
    assert not [text for _, text in blind if "none" in text]
    assert findings(lambda _: 0.3, collapse_alarm=1.0) == []
    assert not about("depth 4", lambda levels: math.nan if levels["predictor.depth"] == 4 else 0.3, axes=TWO)


def test_axes_that_move_together_allow_no_conclusion():
    places = [{"conditioning": "sequence", "predictor.depth": 2}, {"conditioning": "feature", "predictor.depth": 4}]
    known = results([trial(place, status=finished({"mrr": 0.3})) for place in places], axes=list(TWO))
    best, *others = axis_findings(tabulate(known))
    assert best.kind is Kind.SUPPORTED
    assert [found.kind for found in others] == [Kind.UNSUPPORTED, Kind.UNSUPPORTED]


def test_without_a_headline_metric_nothing_is_compared():
    (found,) = axis_findings(tabulate(sweep(AXES, measure=lambda levels, seed: {"loss": 1.0})))
    assert found.kind is Kind.UNSUPPORTED
