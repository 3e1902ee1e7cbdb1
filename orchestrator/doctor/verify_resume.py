"""`iwm verify-resume`: check that interruptions do not change the result, on a short twin of a configuration.

    uninterrupted    iwm train ...    to its end
    interrupted      iwm train ...    SIGKILL after a checkpoint -> again, SIGTERM -> again, to its end

Each run is a process of its own under a temporary root, with the journal, checkpoints and claims of every trial. Then
`twins` compares the two runs, and the root is removed.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from iwm_core.events import Step
from orchestrator.doctor import twins
from orchestrator.doctor.twins import Comparison, Twin
from orchestrator.errors import IwmError, RequestError
from orchestrator.host.signals import StopFlag, stop_flag
from orchestrator.planning.expand import single
from orchestrator.records import journal
from orchestrator.records.layout import Layout, TrialFolder
from orchestrator.records.scan import read_status
from orchestrator.trial.lifecycle import State

STEPS = 40
STEPS_MIN = 16
POLL_S = 0.005
SMALL = (
    "evaluate.bank_images=4",
    "evaluate.bank_size=16",
    "evaluate.probe_train_images=500",
    "evaluate.probe_test_images=200",
)
"""A small evaluation for the twin; overrides may enlarge it."""
ELSEWHERE = ("IWM_ROOT", "IWM_STATE", "IWM_DATABASE_URL", "MLFLOW_TRACKING_URI")
"""Environment variables that would point a run outside its temporary root."""


@dataclass(frozen=True)
class Planned:
    """The attempt receives `signal` once it has logged `step`."""

    signal: signal.Signals
    step: int


def verify_resume(
    overrides: Sequence[str] = (),
    *,
    steps: int = STEPS,
    sweeps: Path | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Comparison:
    """Runs the twin both ways and compares; `say` receives progress lines.

    Raises:
        RequestError: invalid overrides, or too few steps for two interruptions.
        IwmError: a run failed, or ended before it could be interrupted.
        KeyboardInterrupt: SIGINT, SIGTERM or SIGHUP came. Nothing is left behind.
    """
    words = twin_words(overrides, steps=steps)
    trial_id = single(words, sweeps_dir=sweeps).trial.id
    words += ["--sweeps", str(sweeps.expanduser().resolve())] if sweeps else []
    with stop_flag() as stop, tempfile.TemporaryDirectory(prefix="iwm-verify-") as folder:
        straight, broken = (Layout.of(Path(folder) / name, environ={}) for name in ("uninterrupted", "interrupted"))
        say(f"trial {trial_id[:8]}, {steps} steps, uninterrupted")
        first = _run(straight, trial_id, words, stop=stop)
        say("the same, interrupted by SIGKILL and by SIGTERM")
        second = _run(broken, trial_id, words, stop=stop, plan=interruptions(steps))
    return twins.compare(first, second, trial_id=trial_id, steps=steps)


def twin_words(overrides: Sequence[str], *, steps: int) -> list[str]:
    """The twin's overrides: its own length, logging and checkpoint interval on top of the request.

    Raises:
        RequestError: there are too few steps for two interruptions.
    """
    if steps < STEPS_MIN:
        message = f"--steps must be at least {STEPS_MIN}, to leave room for two interruptions"
        raise RequestError(message, setting="--steps", value=steps)
    own = (f"train.steps={steps}", "train.log_every=1", f"resources.checkpoint_every_steps={interval(steps)}")
    return [*SMALL, *overrides, *own]


def interval(steps: int) -> int:
    """Steps between two checkpoints of the twin."""
    return steps // 8


def interruptions(steps: int) -> tuple[Planned, ...]:
    """Two interruptions, each between checkpoints, so that SIGKILL loses steps, and long before the end."""
    every = interval(steps)
    between = max(1, every // 2)
    return Planned(signal.SIGKILL, every + between), Planned(signal.SIGTERM, 3 * every + between)


def _run(layout: Layout, trial_id: str, words: Sequence[str], *, stop: StopFlag, plan: Sequence[Planned] = ()) -> Twin:
    """Runs the trial to its end under a root of its own, with its first attempts interrupted as planned."""
    trial, log = layout.trial(trial_id), layout.root.with_suffix(".log")
    for attempt, planned in enumerate(plan):
        name, step = planned.signal.name, planned.step
        with _train(layout, words, log=log) as child:
            _wait(child, stop=stop, until=lambda number=attempt, step=step: _has_logged(trial, number, step=step))
            child.send_signal(planned.signal)
            _wait(child, stop=stop)
        state = read_status(trial).state
        if state is State.FINISHED:
            raise IwmError(f"the run ended before {name} could interrupt it at step {step}: raise --steps")
        if state is State.FAILED or attempt not in journal.attempt_numbers(trial):
            raise _failure(child.returncode, log=log)
    with _train(layout, words, log=log) as child:
        _wait(child, stop=stop)
        if child.returncode:
            raise _failure(child.returncode, log=log)
    signals = {attempt: planned.signal.name for attempt, planned in enumerate(plan)}
    return Twin(status=read_status(trial), values=twins.logged(journal.read_journals(trial)), signals=signals)


@contextlib.contextmanager
def _train(layout: Layout, words: Sequence[str], *, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`iwm train` in its own process group, which is killed at the end of the block."""
    command = [sys.executable, "-m", "orchestrator.cli", "train", *words, "--root", str(layout.root)]
    environment = {key: value for key, value in os.environ.items() if key not in ELSEWHERE}
    with log.open("wb") as output:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, start_new_session=True
        )
    try:
        yield child
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _wait(child: subprocess.Popen[bytes], *, stop: StopFlag, until: Callable[[], bool] = lambda: False) -> None:
    """Waits until the process ends or `until` returns True.

    Raises:
        KeyboardInterrupt: this process was asked to stop.
    """
    while child.poll() is None and not until():
        if stop():
            raise KeyboardInterrupt
        time.sleep(POLL_S)


def _has_logged(trial: TrialFolder, attempt: int, *, step: int) -> bool:
    events = journal.read_journals(trial).get(attempt, ())
    return any(isinstance(event, Step) and event.step >= step for event in events)


def _failure(code: int, *, log: Path) -> IwmError:
    """The last line of a run's log, as the error with the run's exit code."""
    lines = log.read_text(errors="replace").strip().splitlines()
    message = lines[-1].removeprefix("iwm: ") if lines else f"exit code {code}"
    return (RequestError if code == RequestError.exit_code else IwmError)(message)


def verdict_table(verdict: Comparison) -> Table:
    """One row per run."""
    table = Table(title=f"trial {verdict.trial_id}, {verdict.steps} steps", title_justify="left", box=None)
    for heading in ("run", "interrupted by", "resumed from step", "seconds", "weights_sha256"):
        table.add_column(heading, overflow="fold")
    by = ", ".join(f"{one.signal} at step {one.step}" for one in verdict.interruptions)
    on = ", ".join(str(one.resumed_from_step) for one in verdict.interruptions)
    for name, story, wall_s, sha256 in zip(
        ("uninterrupted", "interrupted"), (("", ""), (by, on)), verdict.wall_s, verdict.weights_sha256, strict=True
    ):
        table.add_row(name, *story, f"{wall_s:.1f}", sha256[:16])
    return table
