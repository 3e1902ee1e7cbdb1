from dashboards.ablation import tabulate
from dashboards.trends import trend
from dashboards.verdict import Kind
from tests.fakes.results import sweep

AXES = {"conditioning": ["sequence", "feature"], "photometric.strength": [1.0, 0.25], "predictor.depth": [2, 4]}


def said(mrr, *, axis, axes=AXES, seeds=(0,)):
    measure = lambda levels, seed: {"mrr": mrr(levels) + 0.001 * seed * seed, "mrr_floor": 0.024}  # noqa: E731
    return list(trend(tabulate(sweep(axes, measure=measure, seeds=seeds)), axis=axis, metric="mrr"))


def stronger(levels):
    return {"sequence": 0.15, "feature": 0.21}[levels["conditioning"]] + 0.2 * (levels["photometric.strength"] == 1.0)


def test_a_trend_in_every_pairing_is_supported():
    (found,) = said(stronger, axis="photometric.strength")
    assert found.kind is Kind.SUPPORTED
    assert found.text == (
        "Stronger augmentation gives the higher MRR in all 4 pairings: from photometric strength 0.25 to 1.0 by 0.20 "
        "on average (sequence 0.15 to 0.35, feature 0.21 to 0.41)."
    )


def test_several_seeds_give_the_interval():
    (found,) = said(stronger, axis="photometric.strength", seeds=range(3))
    assert "by 0.20 ± 0.00 on average" in found.text


def test_signs_that_differ_are_no_trend():
    def mixed(levels):
        gain = {("sequence", 1.0): 0.02, ("sequence", 0.25): 0.04, ("feature", 1.0): -0.03, ("feature", 0.25): 0.01}
        return 0.3 + gain[levels["conditioning"], levels["photometric.strength"]] * (levels["predictor.depth"] == 4)

    (found,) = said(mixed, axis="predictor.depth")
    assert found.kind is Kind.UNSUPPORTED
    assert found.text == (
        "Predictor depth shows no robust trend: from 2 to 4 MRR rises in 3 and falls in 1 of 4 pairings "
        "(-0.03 to +0.04)."
    )


def test_a_small_difference_cannot_be_carried_by_one_seed():
    (found,) = said(lambda levels: 0.3 - 0.005 * levels["predictor.depth"], axis="predictor.depth")
    assert found.kind is Kind.UNSUPPORTED
    assert "MRR falls by 0.01 on average, less than the 0.05 that another seed alone can move" in found.text


def test_a_part_may_stand_alone_where_the_whole_does_not():
    def split(levels):
        sign = {"sequence": 0.1, "feature": -0.01}[levels["conditioning"]]
        return 0.3 + sign * (levels["predictor.depth"] == 4)

    whole, part = said(split, axis="predictor.depth")
    assert whole.kind is Kind.UNSUPPORTED
    assert part.kind is Kind.SUPPORTED
    assert part.text.startswith(
        "Within conditioning sequence: a deeper predictor gives the higher MRR in both pairings"
    )


def test_a_peak_in_between_is_told():
    peak = {1: 0.1, 2: 0.4, 4: 0.3}
    (found,) = said(lambda levels: peak[levels["optim.lr"]], axis="optim.lr", axes={"optim.lr": [1, 2, 4]})
    assert found.text == (
        "A higher optim lr gives the higher MRR in the one pairing there is: from optim lr 1 to 4 by 0.20, though not "
        "from 2 to 4."
    )


def test_an_axis_without_pairs_says_so():
    (found,) = said(lambda levels: 0.024, axis="predictor.depth")
    assert found.text.startswith("Nothing can be said of predictor depth")
