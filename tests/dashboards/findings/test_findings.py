from dashboards.findings import Kind, find
from orchestrator.trial.lifecycle import State, TrialStatus
from tests.fakes.results import sweep

AXES = {"conditioning": ["none", "sequence", "feature"], "photometric.strength": [0.25, 1.0], "predictor.depth": [2, 4]}
LEVEL = {"none": 0.0, "sequence": 0.2, "feature": 0.3}


def measure(levels, seed):
    """A world model that works: conditioning and strength matter, depth does not."""
    gain = LEVEL[levels["conditioning"]] * (1.0 if levels["photometric.strength"] == 1.0 else 0.5)
    ripple = 0.01 * (1 if levels["photometric.strength"] == 1.0 else -1) * (levels["predictor.depth"] == 4) * bool(gain)
    return {
        "mrr": 0.024 + gain + ripple + 0.002 * (seed % 2),
        "mrr_floor": 0.024,
        "linear_probe_top1": 0.19,
        "random_probe_top1": 0.22,
    }


def said(results, kind):
    return [finding.text for finding in find(results) if finding.kind is kind]


def test_the_demo_in_sentences():
    demo = sweep(AXES, measure=measure, name="demo")
    assert len(said(demo, Kind.CHECK)) == 1
    assert [text.split(" gives")[0].split(" reaches")[0] for text in said(demo, Kind.SUPPORTED)] == [
        "Conditioning feature",
        "Conditioning feature",
        "Stronger augmentation",
    ]
    assert [text.split(" shows")[0].split(" is")[0] for text in said(demo, Kind.UNSUPPORTED)] == [
        "Predictor depth",
        "The linear probe",
    ]


def test_one_seed_says_what_to_run_for_an_interval():
    (text,) = said(sweep(AXES, measure=measure, name="demo"), Kind.NEXT)
    assert "`iwm submit demo 'seed=range(3)'`" in text


def test_several_seeds_need_nothing_more():
    assert said(sweep(AXES, measure=measure, seeds=range(3)), Kind.NEXT) == []


def test_two_levels_of_which_one_is_blind_still_say_what_is_reached():
    known = sweep({**AXES, "conditioning": ["none", "feature"]}, measure=measure)
    assert said(known, Kind.SUPPORTED)[0].startswith("Conditioning feature reaches MRR 0.33")


def test_an_undertrained_sweep_shows_nothing():
    small = sweep(AXES, measure=lambda levels, seed: {"mrr": 0.026, "mrr_floor": 0.024})
    assert said(small, Kind.SUPPORTED) == []
    assert len(said(small, Kind.UNSUPPORTED)) == 1


def test_nothing_finished():
    waiting = sweep({"a": [1]}, measure=measure, unfinished={(1, 0): TrialStatus(state=State.QUEUED)})
    assert len(said(waiting, Kind.UNSUPPORTED)) == 1
    assert "`iwm status toy`" in said(waiting, Kind.NEXT)[0]


def test_early_stops_are_resumed_and_runs_are_watched():
    for state, verb in ((State.FAILED, "resume"), (State.RUNNING, "status")):
        known = sweep(AXES, measure=measure, unfinished={("none", 1.0, 2, 0): TrialStatus(state=state)})
        assert f"`iwm {verb} toy`" in said(known, Kind.NEXT)[0]


def test_an_empty_sweep_says_so():
    assert len(said(sweep({"a": []}, measure=measure), Kind.UNSUPPORTED)) == 1
