from dashboards.cost import Cost, cost_of, total
from orchestrator.trial.lifecycle import State, TrialStatus
from tests.fakes.results import GPU, attempt, finished


def test_a_cpu_trial_costs_no_gpu_hours():
    assert cost_of(finished({}, attempts=[attempt(seconds=1800.0)])) == Cost(trials=1, attempts=1, wall_hours=0.5)


def test_gpu_hours_count_every_rank():
    known = cost_of(finished({}, attempts=[attempt(seconds=3600.0, fingerprint={**GPU, "ranks": 8})]))
    assert known.wall_hours == 1.0
    assert known.gpu_hours == 8.0


def test_attempts_preemptions_and_repeated_steps():
    ran = [attempt(end="lost", step=60), attempt(1, end="preempted", step=80, resumed_from_step=50)]
    known = cost_of(finished({}, attempts=[*ran, attempt(2, resumed_from_step=80)]))
    assert (known.attempts, known.preemptions, known.repeated_steps) == (3, 2, 10)


def test_a_trial_that_never_started_costs_nothing():
    assert cost_of(TrialStatus(state=State.PLANNED)) == Cost(trials=1)


def test_costs_add_up():
    assert total([Cost(trials=1, wall_hours=0.5), Cost(trials=2, gpu_hours=3.0)]) == Cost(
        trials=3, wall_hours=0.5, gpu_hours=3.0
    )
