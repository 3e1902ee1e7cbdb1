"""What interruptions cost."""

from dashboards.ledger import by_cause, entries_of
from orchestrator.trial.lifecycle import Attempt, State, TrialStatus


def attempt(number, *, resumed, step, cause="", wall_s=10.0, device="cpu"):
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
        attempt(0, resumed=0, step=40, cause="node failure"),
        attempt(1, resumed=30, step=50, cause="SIGTERM"),
        attempt(2, resumed=50, step=100),
    ),
)


def test_steps_and_seconds_of_each_interruption():
    first, second = entries_of("abc", STATUS)
    assert (first.repeated_steps, first.seconds, first.cause) == (10, 10 * 10 / 40, "node failure")
    assert (second.repeated_steps, second.seconds) == (0, 0)


def test_a_gpu_counts_as_often_as_there_are():
    lost = attempt(0, resumed=0, step=40, device="NVIDIA H200")
    (entry,) = entries_of("abc", TrialStatus(state=State.RUNNING, attempts=(lost, attempt(1, resumed=20, step=20))))
    assert entry.seconds == 20 * 10 / 40 * 2


def test_an_attempt_that_never_began_repeats_nothing():
    unborn = Attempt(number=1, cause="error")
    status = TrialStatus(state=State.RUNNING, attempts=(STATUS.attempts[0], unborn, attempt(2, resumed=40, step=60)))
    (entry,) = entries_of("abc", status)
    assert entry.repeated_steps == 0


def test_the_dearest_cause_comes_first_and_the_sum_last():
    rows = by_cause(entries_of("abc", STATUS)).rows
    assert rows[0] == ("node failure", "1", "10", "2.5")
    assert rows[-1] == ("all", "2", "10", "2.5")
