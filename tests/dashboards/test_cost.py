from dashboards.cost import Cost, cost_of, interruptions_of, total
from dashboards.report.tables import by_cause
from orchestrator.trial.lifecycle import Attempt, State, TrialStatus
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


def ran(number, *, resumed, step, cause="", wall_s=10.0, device="cpu"):
    return Attempt(
        number=number,
        total_steps=100,
        resumed_from_step=resumed,
        step=step,
        cause=cause,
        host="n1",
        started_t=1.0,
        last_t=1.0 + wall_s,
        fingerprint={"device": device, "ranks": 2},
    )


STATUS = TrialStatus(
    state=State.FINISHED,
    attempts=(
        ran(0, resumed=0, step=40, cause="node failure"),
        ran(1, resumed=30, step=50, cause="SIGTERM"),
        ran(2, resumed=50, step=100),
    ),
)


def test_steps_and_seconds_of_each_interruption():
    first, second = interruptions_of(STATUS)
    assert (first.repeated_steps, first.seconds, first.cause) == (10, 10 * 10 / 40, "node failure")
    assert (second.repeated_steps, second.seconds) == (0, 0)


def test_a_gpu_counts_as_often_as_there_are():
    lost = ran(0, resumed=0, step=40, device="NVIDIA H200")
    (entry,) = interruptions_of(TrialStatus(state=State.RUNNING, attempts=(lost, ran(1, resumed=20, step=20))))
    assert entry.seconds == 20 * 10 / 40 * 2


def test_an_attempt_that_never_began_repeats_nothing():
    unborn = Attempt(number=1, cause="error")
    status = TrialStatus(state=State.RUNNING, attempts=(STATUS.attempts[0], unborn, ran(2, resumed=40, step=60)))
    (entry,) = interruptions_of(status)
    assert entry.repeated_steps == 0


def test_the_dearest_cause_comes_first_and_the_sum_last():
    rows = by_cause(interruptions_of(STATUS)).rows
    assert rows[0] == ("node failure", "1", "10", "2.5")
    assert rows[-1] == ("all", "2", "10", "2.5")
