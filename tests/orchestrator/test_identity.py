"""What is promised of a trial's bits."""

import pytest

from orchestrator.identity import identity
from orchestrator.lifecycle import Attempt, State, TrialStatus

CPU = {"device": "cpu", "threads": 1, "deterministic": True}
GPU = {"device": "H100", "deterministic": False}
OLD = {"device": "cpu"}
"""A fingerprint that does not speak of determinism."""


@pytest.mark.parametrize(
    ("fingerprints", "drifted", "expected"),
    [
        ([], (), ""),
        ([{}], (), ""),
        ([CPU], (), "exact"),
        ([GPU], (), "exact"),
        ([OLD], (), "exact"),
        ([CPU, CPU], (), "exact"),
        ([CPU, {**CPU, "threads": 2}], (), "tolerance"),
        ([CPU, GPU], (), "tolerance"),
        ([GPU, GPU], (), "tolerance"),
        ([OLD, OLD], (), "tolerance"),
        ([{}, GPU], (), "exact"),
        ([CPU, {}, CPU], (), "exact"),
        ([CPU, CPU], ("loss",), "drifted"),
    ],
)
def test_identity_is_promised_between_equal_deterministic_fingerprints(fingerprints, drifted, expected):
    attempts = tuple(Attempt(number=number, fingerprint=known) for number, known in enumerate(fingerprints))
    assert identity(TrialStatus(state=State.RUNNING, attempts=attempts, drifted=drifted)) == expected
