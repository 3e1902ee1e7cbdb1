"""A status survives JSON as it is."""

import math

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.lifecycle import Attempt, State, TrialStatus
from orchestrator.status_json import from_json, to_json

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
