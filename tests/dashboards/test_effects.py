import itertools

import pytest

from dashboards.ablation import tabulate
from dashboards.effects import interactions, main_effect, main_effects
from orchestrator.trial.lifecycle import State, TrialStatus
from tests.fakes.results import finished, results, sweep, trial

AXES = {"conditioning": ["none", "sequence", "feature"], "predictor.depth": [2, 4], "photometric.strength": [0.5, 1.0]}
GAIN = {"none": 0.0, "sequence": 0.25, "feature": 0.5}


def additive(levels, seed):
    """Exact in binary: main effects of 1/4, 1/2, 1/8 and 1/16, no interaction, a seed that shifts everything."""
    depth, strength = levels["predictor.depth"], levels["photometric.strength"]
    return {"mrr": GAIN[levels["conditioning"]] + (depth == 4) / 8 + (strength == 1.0) / 16 + 2.0 * seed}


def test_known_effects_are_recovered_exactly():
    found = main_effects(tabulate(sweep(AXES, measure=additive, seeds=range(2))), metric="mrr")
    said = {(effect.axis, effect.level): effect.estimate for effect in found}
    assert {key: known and (known.mean, known.half_width) for key, known in said.items()} == {
        ("conditioning", "sequence"): (0.25, 0.0),
        ("conditioning", "feature"): (0.5, 0.0),
        ("predictor.depth", 4): (0.125, 0.0),
        ("photometric.strength", 1.0): (0.0625, 0.0),
    }
    assert [known.n for known in said.values() if known] == [8, 8, 12, 12]


def test_additive_axes_do_not_interact():
    found = interactions(tabulate(sweep(AXES, measure=additive)), metric="mrr")
    assert len(found) == 2 + 2 + 1
    assert all(both.estimate.mean == 0.0 for both in found)


def test_an_interaction_is_recovered_with_its_sign():
    def crossed(levels, seed):
        return {"mrr": levels["a"] * 1.0 + levels["b"] * 2.0 + levels["a"] * levels["b"] * 0.25}

    (both,) = interactions(tabulate(sweep({"a": [0, 1], "b": [0, 1]}, measure=crossed)), metric="mrr")
    assert both.axes == ("a", "b")
    assert both.levels == (1, 1)
    assert both.estimate.mean == 0.25


def test_interval_over_pairs_equals_the_textbook():
    effects = itertools.cycle([1.0, 2.0, 3.0])
    values = {seed: next(effects) for seed in range(3)}
    results = sweep(
        {"a": [0, 1]}, measure=lambda levels, seed: {"mrr": values[seed] if levels["a"] else 0.0}, seeds=range(3)
    )
    known = main_effect(tabulate(results), axis="a", metric="mrr", base=0, level=1).estimate
    assert known
    assert known.mean == 2.0
    assert known.half_width == pytest.approx(4.3027 / 3**0.5, rel=1e-4)


def test_a_trial_without_its_partner_forms_no_pair():
    failed = TrialStatus(state=State.FAILED, metrics={"mrr": 0.0})
    table = tabulate(sweep(AXES, measure=additive, unfinished={("none", 2, 0.5, 0): failed}))
    effect = main_effect(table, axis="conditioning", metric="mrr", base="none", level="feature")
    assert len(effect.pairs) == 3
    assert effect.estimate
    assert effect.estimate.mean == 0.5


def test_axes_that_only_move_together_have_no_pairs():
    trials = [
        trial({"encoder": name, "optim.lr": lr}, status=finished({"mrr": 1.0}))
        for name, lr in (("small", 1e-3), ("base", 5e-4))
    ]
    table = tabulate(results(trials, axes=["encoder", "optim.lr"]))
    assert [effect.estimate for effect in main_effects(table, metric="mrr")] == [None, None]
    assert interactions(table, metric="mrr") == ()
