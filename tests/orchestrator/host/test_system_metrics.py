"""What a machine does, said now and then."""

from iwm_core.events import Evaluated, Sampled, Started, Step, is_telemetry
from orchestrator.host.system_metrics import Sampler
from orchestrator.trial.lifecycle import fold, history


def test_it_is_said_when_it_is_due_and_then_not_again():
    sampler = Sampler(first_s=0.0)
    found = sampler.read()
    assert 0 <= found["system/cpu_utilization_percentage"] <= 100
    assert found["system/process_memory_megabytes"] > 1
    assert all(map(is_telemetry, found))
    assert sampler.read() == {}


def test_nothing_is_due_at_once():
    assert Sampler().read() == {}


def test_a_gpu_that_is_not_there_is_no_error():
    assert Sampler({"CUDA_VISIBLE_DEVICES": "7,GPU-none"}, first_s=0.0).read()


def test_it_is_in_the_history_and_neither_compared_nor_among_the_trials_metrics():
    first = [Started(), Step(step=1, metrics={"loss": 1.0}), Sampled(step=1, metrics={"system/x": 1.0})]
    again = [Started(attempt=1), Sampled(step=1, metrics={"system/x": 2.0}), Evaluated(step=1, metrics={"mrr": 0.5})]
    points, drifted = history({0: first, 1: again})
    assert [(point.key, point.value) for point in points] == [("loss", 1.0), ("system/x", 1.0), ("mrr", 0.5)]
    assert drifted == ()
    assert fold([], {0: first, 1: again}).metrics == {"loss": 1.0, "mrr": 0.5}
