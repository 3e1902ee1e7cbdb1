import pytest

from dashboards.pages.lanes import lanes, span
from orchestrator.trial.lifecycle import State, TrialStatus
from tests.fakes.results import GPU, attempt, finished, results, trial

TWO = (
    attempt(0, end="preempted", cause="SIGTERM", host="n1", step=60, fingerprint=GPU),
    attempt(1, host="n2", resumed_from_step=50, step=100, fingerprint=GPU),
)


def only(status):
    (lane,) = lanes(results([trial({"a": 1}, status=status)], axes=["a"]), now=5_000.0)
    return lane


def test_attempts_are_bars_with_the_wait_before_them_and_what_they_repeat():
    lane = only(finished({}, attempts=TWO))
    first, second = lane.bars
    assert (first.attempt.host, first.end, first.mark, first.waited_s) == ("n1", "preempted", "▲", 0.0)
    assert (second.attempt.host, second.mark, second.waited_s) == ("n2", "●", 2_000.0 - 1_060.0)
    assert (second.repeated_steps, second.repeated_share) == (10, pytest.approx(0.2))
    assert first.gpu_hours == pytest.approx(60 / 3600)
    assert (lane.name, lane.state, lane.waited_s) == ("a=1", "finished", 940.0)


def test_a_bar_that_is_open_ends_now():
    open_now = attempt(0, end=None, seconds=10)
    (bar,) = only(TrialStatus(state=State.RUNNING, attempts=(open_now,))).bars
    assert (bar.end, bar.mark, bar.end_t) == ("running", "", 5_000.0)


def test_the_span_reaches_from_the_first_wait_to_the_last_end():
    shown = (only(finished({}, attempts=TWO)),)
    whole = span(shown, submitted_t=900.0, now=9_000.0)
    assert (whole.start_t, whole.end_t) == (1_000.0, 2_060.0)
    assert (whole.at(1_000.0), whole.at(2_060.0), whole.at(9e9)) == (0.0, 1.0, 1.0)
    assert [name for _, name in whole.ticks()] == ["0 s", "5 min", "10 min", "15 min"]
    assert span((), submitted_t=900.0, now=9_000.0).end_t == 901.0


def test_a_trial_that_waits_does_so_until_now():
    waiting = TrialStatus(state=State.PREEMPTED, attempts=TWO[:1])
    lane = only(waiting)
    assert lane.waits_since_t == 1_060.0
    assert span((lane,), submitted_t=900.0, now=9_000.0).end_t == 9_000.0
    assert only(TrialStatus(state=State.HELD, attempts=TWO[:1])).waits_since_t is None
