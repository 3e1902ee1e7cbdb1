"""What is promised of a trial's bits, and the GPU hours that it took."""

import pytest

from orchestrator.trial.lifecycle import Attempt, State, TrialStatus
from orchestrator.trial.results import gpu_hours, gpus, identity
from tests.fakes.results import GPU, attempt, finished

CPU = {"device": "cpu", "threads": 1, "deterministic": True}
NONDETERMINISTIC = {"device": "H100", "deterministic": False}
OLD = {"device": "cpu"}
"""A fingerprint that does not speak of determinism."""


@pytest.mark.parametrize(
    ("fingerprints", "drifted", "expected"),
    [
        ([], (), ""),
        ([{}], (), ""),
        ([CPU], (), "exact"),
        ([NONDETERMINISTIC], (), "exact"),
        ([OLD], (), "exact"),
        ([CPU, CPU], (), "exact"),
        ([CPU, {**CPU, "threads": 2}], (), "tolerance"),
        ([CPU, NONDETERMINISTIC], (), "tolerance"),
        ([NONDETERMINISTIC, NONDETERMINISTIC], (), "tolerance"),
        ([OLD, OLD], (), "tolerance"),
        ([{}, NONDETERMINISTIC], (), "exact"),
        ([CPU, {}, CPU], (), "exact"),
        ([CPU, CPU], ("loss",), "drifted"),
    ],
)
def test_identity_is_promised_between_equal_deterministic_fingerprints(fingerprints, drifted, expected):
    attempts = tuple(Attempt(number=number, fingerprint=known) for number, known in enumerate(fingerprints))
    assert identity(TrialStatus(state=State.RUNNING, attempts=attempts, drifted=drifted)) == expected


def test_hours_count_for_every_rank_on_a_gpu_and_not_on_a_cpu():
    ran = (attempt(0, end="preempted"), attempt(1, fingerprint={**GPU, "ranks": 4}, seconds=1800))
    assert [gpus(one) for one in ran] == [0, 4]
    assert gpu_hours(finished({}, attempts=ran)) == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        ("NVIDIA H200", 1),
        ("Tesla V100-SXM2-16GB", 1),
        ("AMD EPYC 9654 (AVX512)", 0),
        ("AMD Instinct MI300X", 1),
        ("", 0),
    ],
)
def test_a_gpu_is_known_by_its_maker(device, expected):
    assert gpus(attempt(fingerprint={"device": device})) == expected
