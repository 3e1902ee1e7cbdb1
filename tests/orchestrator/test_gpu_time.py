import pytest

from orchestrator.gpu_time import gpu_hours, gpus
from tests.fakes.results import GPU, attempt, finished


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
