from dashboards.ablation import tabulate
from dashboards.rankings import ranking
from dashboards.verdict import Kind
from tests.fakes.results import sweep

AXES = {"conditioning": ["sequence", "feature"], "predictor.depth": [2, 4]}


def said(gain, *, axes=AXES, seeds=(0,)):
    def measure(levels, seed):
        return {"mrr": 0.3 + gain(levels) + 0.001 * seed * seed, "mrr_floor": 0.024}

    return list(ranking(tabulate(sweep(axes, measure=measure, seeds=seeds)), axis="conditioning", metric="mrr"))


def test_the_best_cell_and_the_others_in_its_place():
    best, ranked = said(lambda levels: 0.11 * (levels["conditioning"] == "feature") - 0.01 * levels["predictor.depth"])
    assert (
        best.text
        == "Conditioning feature reaches MRR 0.39 (predictor depth 2); in the same place sequence reaches 0.28."
    )
    assert ranked.kind is Kind.SUPPORTED
    assert (
        ranked.text == "Conditioning feature gives the higher MRR than sequence in both pairings, by 0.11 on average."
    )


def test_an_order_that_differs_between_cells_is_no_ranking():
    _, ranked = said(
        lambda levels: (levels["conditioning"] == "feature") * {2: 0.2, 4: -0.1}[levels["predictor.depth"]]
    )
    assert ranked.kind is Kind.UNSUPPORTED
    assert ranked.text == (
        "Conditioning feature and sequence are not told apart: MRR of feature is higher in 1 and lower in 1 of 2 "
        "pairings (-0.10 to +0.20)."
    )


def test_a_small_difference_is_no_ranking():
    _, ranked = said(lambda levels: 0.01 * (levels["conditioning"] == "feature"))
    assert ranked.kind is Kind.UNSUPPORTED
    assert "less than the 0.05" in ranked.text


def test_several_seeds_show_intervals():
    best, ranked = said(lambda levels: 0.1 * (levels["conditioning"] == "feature"), seeds=range(3))
    assert "0.40 ± 0.01" in best.text
    assert "by 0.10 ± 0.00 on average" in ranked.text


def test_a_single_level_only_says_what_it_reaches():
    (best,) = said(lambda levels: 0.0, axes={"conditioning": ["feature"]})
    assert best.text == "Conditioning feature reaches MRR 0.30."


def test_nothing_is_said_twice_of_a_cell_with_nothing_beside_it():
    alone = tabulate(
        sweep({"conditioning": ["feature"]}, measure=lambda levels, seed: {"mrr": 0.3, "mrr_floor": 0.024})
    )
    assert list(ranking(alone, axis="conditioning", metric="mrr", leads=False)) == []
