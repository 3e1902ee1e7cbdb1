"""Two runs of one trial: what counts as equal, and what a verdict says."""

import json
import math
from dataclasses import replace

import pytest

from iwm_core.events import Evaluated, Finished, Preempted, Started, Step
from orchestrator.doctor.twins import Twin, compare, logged
from orchestrator.trial.lifecycle import fold

EXACT = {"device": "cpu", "dtype": "fp32", "threads": 1, "torch": "2", "deterministic": True}
STEPS = 8


def started(attempt, at=0, fingerprint=EXACT):
    return Started(attempt=attempt, resumed_from_step=at, total_steps=STEPS, fingerprint=fingerprint)


def steps(after, until, **changed):
    """Steps (after, until]; `changed` maps `s3` to another loss of step 3."""
    return [
        Step(step=step, metrics={"loss": changed.get(f"s{step}", 1 / step), "images_per_s": after + step})
        for step in range(after + 1, until + 1)
    ]


def ended(weights="ab", mrr=0.5):
    return [Evaluated(step=STEPS, metrics={"mrr": mrr}), Finished(step=STEPS, weights_sha256=weights)]


def twin(*attempts):
    journals = {number: events for number, events in enumerate(attempts)}
    return Twin(status=fold([], journals), values=logged(journals), signals={0: "SIGKILL", 1: "SIGTERM"})


STRAIGHT = twin([started(0), *steps(0, STEPS), *ended()])
BROKEN = (
    [started(0), *steps(0, 4)],
    [started(1, at=2), *steps(2, 6), Preempted(step=6, signal="SIGTERM")],
    [started(2, at=6), *steps(6, STEPS), *ended()],
)


def verdict(*attempts, straight=STRAIGHT):
    return compare(straight, twin(*attempts), trial_id="abc", steps=STEPS)


def test_equal_runs():
    told = verdict(*BROKEN)
    assert told.equal
    assert told.promised_bits
    assert (told.metrics, told.values, told.repeated_steps) == (2, 11, 2)
    assert [(one.signal, one.step, one.resumed_from_step) for one in told.interruptions] == [
        ("SIGKILL", 4, 2),
        ("SIGTERM", 6, 6),
    ]
    assert "equal, bit for bit" in told.sentences()[-1]
    assert json.loads(json.dumps(told.to_dict(), allow_nan=False))["verdict"] == "equal"


def test_a_repeated_step_counts_too():
    first, second, third = BROKEN
    told = verdict(first, [second[0], *steps(2, 6, s3=0.25), second[-1]], third)
    assert not told.equal
    (difference,) = told.differences
    assert (difference.metric, difference.step, difference.attempt) == ("loss", 3, 1)
    assert (difference.uninterrupted, difference.interrupted) == (1 / 3, 0.25)
    assert "loss at step 3" in told.sentences()[-1]


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        ([*steps(6, STEPS), *ended(weights="cd")], "the weights"),
        ([*steps(6, 7), *ended()], "loss at step 8"),
        ([*steps(6, STEPS), *ended(mrr=math.nan)], "mrr at step 8"),
    ],
)
def test_what_makes_a_difference(end, reason):
    told = verdict(*BROKEN[:2], [started(2, at=6), *end])
    assert not told.equal
    assert reason in told.sentences()[-1]
    json.dumps(told.to_dict(), allow_nan=False)


def test_nan_is_equal_to_nan():
    nan = ended(mrr=math.nan)
    straight = twin([started(0), *steps(0, STEPS), *nan])
    assert verdict(*BROKEN[:2], [started(2, at=6), *steps(6, STEPS), *nan], straight=straight).equal


def test_starting_over_is_not_resuming():
    told = verdict(BROKEN[0], [started(1), *steps(0, STEPS), *ended()])
    assert not told.differences
    assert not told.equal
    assert "restarted from step 0" in told.sentences()[-1]


@pytest.mark.parametrize(
    ("fingerprint", "why"),
    [(EXACT | {"deterministic": False}, "train.deterministic"), (EXACT | {"threads": 2}, "unequal numerics")],
)
def test_what_is_promised(fingerprint, why):
    attempts = [[replace(events[0], fingerprint=fingerprint), *events[1:]] for events in BROKEN]
    straight = twin([started(0, fingerprint=EXACT | {"deterministic": False}), *steps(0, STEPS), *ended()])
    told = verdict(*attempts, straight=STRAIGHT if why.startswith("unequal") else straight)
    assert not told.promised_bits
    assert why in told.sentences()[1]
