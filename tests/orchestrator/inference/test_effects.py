import math
from itertools import product

import pytest

from orchestrator.inference.effects import (
    Effect,
    Pair,
    Sample,
    Verdict,
    accuracy_margin,
    effect,
    interactions,
    main_effects,
    ranked_levels,
    reversals,
)

DESIGN = {"conditioning": ["none", "sequence", "feature"], "depth": [2, 4], "strength": [0.5, 1.0]}
GAIN = {"none": 0.0, "sequence": 0.25, "feature": 0.5}


def samples(design, measure, seeds=(0,)):
    """A full factorial; `measure(levels, seed)` gives the values."""
    places = (dict(zip(design, levels, strict=True)) for levels in product(*design.values()))
    return [Sample(place, {seed: measure(place, seed) for seed in seeds}) for place in places]


def additive(levels, seed):
    """Exact in binary: main effects of 1/4, 1/2, 1/8 and 1/16, no interaction, a seed that shifts everything."""
    return GAIN[levels["conditioning"]] + (levels["depth"] == 4) / 8 + (levels["strength"] == 1.0) / 16 + 2.0 * seed


def test_known_effects_are_recovered_exactly():
    found = main_effects(samples(DESIGN, additive, seeds=range(2)), DESIGN)
    known = {(one.axis, one.level): one.estimate for one in found}
    assert {key: known and (known.mean, known.half_width, known.n) for key, known in known.items()} == {
        ("conditioning", "sequence"): (0.25, 0.0, 8),
        ("conditioning", "feature"): (0.5, 0.0, 8),
        ("depth", 4): (0.125, 0.0, 12),
        ("strength", 1.0): (0.0625, 0.0, 12),
    }


def test_additive_axes_do_not_interact():
    found = interactions(samples(DESIGN, additive), DESIGN)
    assert [both.estimate.mean for both in found] == [0.0] * (2 + 2 + 1)


def test_an_interaction_is_recovered_with_its_sign():
    design = {"a": [0, 1], "b": [0, 1]}
    known = samples(design, lambda levels, _: levels["a"] + levels["b"] * 2.0 + levels["a"] * levels["b"] * 0.25)
    (both,) = interactions(known, design)
    assert (both.axes, both.levels, both.estimate.mean) == (("a", "b"), (1, 1), 0.25)


def test_interval_over_pairs_equals_the_textbook():
    known = samples({"a": [0, 1]}, lambda levels, seed: levels["a"] * (seed + 1.0), seeds=range(3))
    mean = effect(known, axis="a", base=0, level=1).estimate
    assert mean
    assert mean.mean == 2.0
    assert mean.half_width == pytest.approx(4.3027 / 3**0.5, rel=1e-4)


def test_a_value_without_its_partner_forms_no_pair():
    known = samples(DESIGN, additive)
    found = effect([Sample(known[0].levels, {}), *known[1:]], axis="conditioning", base="none", level="feature")
    assert (len(found.pairs), found.estimate and found.estimate.mean) == (3, 0.5)


def test_axes_that_only_move_together_have_no_pairs():
    known = [Sample({"encoder": name, "lr": lr}, {0: 1.0}) for name, lr in (("small", 1e-3), ("base", 5e-4))]
    design = {"encoder": ["small", "base"], "lr": [1e-3, 5e-4]}
    assert [one.verdict for one in main_effects(known, design)] == [None, None]
    assert interactions(known, design) == ()


def test_pairs_below_a_bound_do_not_count():
    known = samples({"a": [0, 1], "b": ["x", "y"]}, lambda levels, _: 0.1 * (1 + levels["a"]) * (levels["b"] == "x"))
    assert [pair.setting for pair in effect(known, axis="a", base=0, level=1, above=0.15).pairs] == [(("b", "x"),)]


def judged(differences, *, seeds=1):
    """An effect with these differences, one setting each, all of them the same for every seed but for 0.001."""
    pairs = tuple(
        Pair((("other", place),), seed, 0.25, 0.25 + difference + 0.001 * seed)
        for place, difference in enumerate(differences)
        for seed in range(seeds)
    )
    return Effect(axis="a", base=0, level=1, pairs=pairs)


@pytest.mark.parametrize(
    ("differences", "seeds", "expected"),
    [
        ([], 1, None),
        ([math.nan, 0.1], 1, None),
        ([0.1, 0.2], 1, Verdict.CLEAR),
        ([-0.1, -0.2], 1, Verdict.CLEAR),
        ([0.1, -0.2], 1, Verdict.MIXED),
        ([0.1, 0.0], 1, Verdict.MIXED),
        ([0.01, 0.02], 1, Verdict.WEAK),
        ([0.01, 0.012], 3, Verdict.CLEAR),
        ([0.01, 0.9], 2, Verdict.WEAK),
        ([0.1, -0.01], 3, Verdict.MIXED),
    ],
)
def test_the_verdicts(differences, seeds, expected):
    assert judged(differences, seeds=seeds).verdict is expected


def test_settings_are_counted_by_sign():
    assert (judged([0.1, 0.3, -0.05]).rises, judged([0.1, 0.3, -0.05]).falls) == (2, 1)


@pytest.mark.parametrize(
    ("differences", "seeds", "expected"),
    [
        ([0.1, 0.2], 1, True),
        ([0.01, 0.2], 1, False),
        ([0.2], 1, False),
        ([0.01, 0.012], 3, True),
        ([0.1, -1], 3, False),
    ],
)
def test_a_part_needs_more_evidence_with_one_seed(differences, seeds, expected):
    assert judged(differences, seeds=seeds).is_clear_in_part is expected


def test_levels_rank_by_their_means():
    assert ranked_levels(samples(DESIGN, additive), axis="conditioning") == ["feature", "sequence", "none"]


def test_a_peak_is_a_reversal():
    peak = {1: 0.1, 2: 0.4, 4: 0.3}
    known = samples({"a": list(peak)}, lambda levels, _: peak[levels["a"]])
    assert reversals(known, effect(known, axis="a", base=1, level=4), levels=list(peak)) == [(2, 4)]


@pytest.mark.parametrize(("one", "other", "margin"), [(0.2, 0.2, 0.0506), (0.92, 0.91, 0.0352), (1.0, 1.0, 0.0)])
def test_accuracies_near_one_differ_by_less(one, other, margin):
    assert accuracy_margin(one, other, n=500) == pytest.approx(margin, abs=1e-4)
