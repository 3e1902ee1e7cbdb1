import math

from dashboards.ablation import tabulate
from dashboards.comparisons import compare, headline, obstacle, parts, readable
from tests.fakes.results import sweep

AXES = {"conditioning": ["none", "sequence", "feature"], "predictor.depth": [2, 4]}


def table(mrr, **more):
    return tabulate(sweep(AXES, measure=lambda levels, seed: {"mrr": mrr(levels), "mrr_floor": 0.024, **more}))


def test_mrr_is_the_headline_where_it_was_measured():
    assert headline(table(lambda _: 0.3, linear_probe_top1=0.2)) == "mrr"
    only_probe = sweep(AXES, measure=lambda levels, seed: {"linear_probe_top1": 0.2, "loss": 1.0})
    assert headline(tabulate(only_probe)) == "linear_probe_top1"
    assert headline(tabulate(sweep(AXES, measure=lambda levels, seed: {"loss": 1.0}))) is None


def test_blind_collapsed_and_nan_cells_are_not_read():
    known = readable(table(lambda levels: math.nan if levels["predictor.depth"] == 4 else 0.3), metric="mrr")
    assert [cell.levels["conditioning"] for cell in known.cells] == ["sequence", "feature"]
    assert not readable(table(lambda _: 0.3, collapse_alarm=1.0), metric="mrr").cells


def test_at_the_floor_everywhere_the_budget_is_too_small():
    found = obstacle(readable(table(lambda _: 0.028), metric="mrr"), metric="mrr")
    assert found
    assert found.text == (
        "MRR stays at its floor everywhere (best 0.028 against 0.024): 100 steps are too small a budget to show "
        "anything about the axes."
    )
    assert obstacle(readable(table(lambda _: 0.3), metric="mrr"), metric="mrr") is None


def test_without_a_headline_nothing_is_compared():
    found = obstacle(table(lambda _: 0.3), metric=None)
    assert found
    assert "measured MRR nor probe" in found.text


def test_pairs_at_the_floor_do_not_count():
    def mrr(levels):
        return {"none": 0.024, "sequence": 0.025, "feature": 0.1 * levels["predictor.depth"]}[levels["conditioning"]]

    known = table(mrr)
    judged = compare(known, axis="predictor.depth", metric="mrr", base=2, level=4)
    assert judged
    assert [pair.place for pair in judged.effect.pairs] == [(("conditioning", "feature"),)]


def test_parts_are_the_first_words():
    known = table(lambda _: 0.3)
    assert list(parts(known, axis="predictor.depth")) == [("conditioning", name) for name in AXES["conditioning"]]
    assert list(parts(known, axis="conditioning")) == []
