"""A status survives JSON as it is."""

import json
import math

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.store.status_json import from_json, to_json
from orchestrator.trial.lifecycle import Attempt, State, TrialStatus

attempts = st.builds(
    Attempt,
    number=st.integers(0, 99),
    started_t=st.floats(0, 2e9),
    end=st.sampled_from([None, "preempted", "lost", "failed", "finished"]),
    error=st.text(),
    skipped=st.lists(st.text(), max_size=2).map(tuple),
    fingerprint=st.dictionaries(st.text(), st.text() | st.integers() | st.booleans(), max_size=2),
    provenance=st.just({"packages": {"torch": "2"}}),
)
statuses = st.builds(
    TrialStatus,
    state=st.sampled_from(State),
    attempts=st.lists(attempts, max_size=3).map(tuple),
    metrics=st.dictionaries(st.text(), st.floats(allow_nan=False), max_size=3),
    drifted=st.lists(st.text(), max_size=2).map(tuple),
    step=st.integers(0, 10**9),
)


@given(statuses)
def test_there_and_back(status):
    assert from_json(to_json(status)) == status


def test_nan_survives():
    status = from_json(to_json(TrialStatus(state=State.RUNNING, metrics={"loss": math.nan})))
    assert math.isnan(status.metrics["loss"])


def test_nan_survives_among_words():
    status = TrialStatus(state=State.RUNNING, metrics={"a": math.nan, "b": math.inf, "c": -math.inf, "d": 0.5})
    assert repr(from_json(to_json(status)).metrics) == repr(status.metrics)


def test_what_another_version_wrote_is_read():
    raw = {
        "state": "failed",
        "mood": "sad",
        "attempts": [{"number": 1, "colour": "red", "fingerprint": {"torch": "2"}}],
    }
    attempt = Attempt(number=1, fingerprint={"torch": "2"})
    assert from_json(json.dumps(raw)) == TrialStatus(state=State.FAILED, attempts=(attempt,))


def test_what_attempts_ran_on_is_kept_once():
    attempt = Attempt(number=0, provenance={"commit": "c0ffee"})
    first, second = (
        from_json(to_json(TrialStatus(state=State.RUNNING, step=step, attempts=(attempt,)))) for step in (1, 2)
    )
    assert first.attempts[0].provenance is second.attempts[0].provenance


def test_defaults_are_left_out():
    assert to_json(TrialStatus(state=State.PLANNED)) == '{"state":"planned"}\n[]'
