"""A disk that is full, files that a crash left torn, a folder that is slow: named, and nothing good is lost to them."""

import contextlib
import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from iwm_core.training.checkpoint import CheckpointFolder
from orchestrator.records import journal
from orchestrator.trial.events import Lost
from orchestrator.trial.lifecycle import State
from tests.slurm.lab import CHECKPOINT_EVERY, Lab

SHORT = "train.steps=150"
DISK_MB = 24


def allow(lab: Lab, trial: str, *, file_bytes: int) -> None:
    """The largest file that this trial's worker may write: a full disk that needs no root."""
    pid = lab.status(trial).attempts[-1].pid
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (file_bytes, hard))


def test_a_full_disk_is_named_and_the_checkpoint_before_it_stays(new_lab: Callable[..., Lab]) -> None:
    lab = new_lab(nodes=1)
    unsaved, unsaid = lab.submit("seed=0,1", SHORT)
    lab.until_checkpointed(unsaved)
    allow(lab, unsaved, file_bytes=100_000)
    lab.until_checkpointed(unsaid)
    pid = lab.status(unsaid).attempts[0].pid
    os.kill(pid, signal.SIGSTOP)
    allow(lab, unsaid, file_bytes=lab.folder(unsaid).attempt(0).stat().st_size + 20)
    os.kill(pid, signal.SIGCONT)

    status = lab.until_state(unsaved, State.FAILED, looking=False)
    assert "cannot write the checkpoint of step" in status.error
    assert "File too large" in status.error
    step = status.attempts[0].checkpoint_step
    kept = CheckpointFolder(lab.folder(unsaved).checkpoints).newest()
    assert (kept.step, kept.skipped) == (step, [])
    assert not list(lab.folder(unsaved).checkpoints.glob("*.tmp"))

    lab.until_finished(unsaid)  # the job ended in an error; its trial had moved on, so it was started again
    assert not lab.folder(unsaid).attempt(0).read_bytes().endswith(b"\n")
    assert [attempt.end for attempt in lab.survived(unsaid).attempts] == ["lost", "finished"]
    assert "cannot write the journal" in losses(lab, unsaid)[0].reason
    lab.iwm("resume", unsaved)
    lab.until_finished(unsaved)
    assert lab.survived(unsaved).attempts[1].resumed_from_step == step


def losses(lab: Lab, trial: str) -> list[Lost]:
    return [event for event in journal.read_control(lab.folder(trial)) if isinstance(event, Lost)]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own mounted under this folder, which needs root."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "iwm", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("only root may mount a disk")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_disk_that_is_full_for_everybody(new_lab: Callable[..., Lab], small_disk: Path) -> None:
    """Trials, logs and what the orchestrator knows of them are on it."""
    lab = new_lab(nodes=1)
    lab.layout.root.mkdir()
    lab.layout.trials.symlink_to(small_disk)
    (trial,) = lab.submit(SHORT)
    lab.until_checkpointed(trial)
    ballast = small_disk / "ballast"
    fill(ballast)
    lab.until_slurm(trial, "FAILED")
    kept = CheckpointFolder(lab.folder(trial).checkpoints).newest()
    assert kept.step > 0
    assert "No space left on device" in " ".join(lab.iwm("status").split())
    ballast.unlink()
    lab.look()
    if lab.status(trial).state is State.FAILED:  # the last page of the journal had room for its last word
        lab.iwm("resume", trial)
    lab.until_finished(trial)
    assert lab.survived(trial).attempts[1].resumed_from_step == kept.step


def fill(file: Path) -> None:
    """Takes what is left of a disk, and what comes free."""
    with file.open("ab", buffering=0) as stream, contextlib.suppress(OSError):
        while True:
            stream.write(bytes(1 << 12))


def test_a_truncated_checkpoint_and_a_torn_line(new_lab: Callable[..., Lab]) -> None:
    lab = new_lab(nodes=1)
    (trial,) = lab.submit(SHORT)
    lab.until(lambda: len(list(lab.folder(trial).checkpoints.glob("*.pt"))) > 1)
    os.kill(lab.status(trial).attempts[0].pid, signal.SIGKILL)
    lab.until_slurm(trial, "FAILED")
    *_, good, newest = sorted(lab.folder(trial).checkpoints.glob("*.pt"))
    os.truncate(newest, newest.stat().st_size // 2)
    with lab.folder(trial).attempt(0).open("ab") as torn:
        torn.write(b'{"t": 17, "ev')
    lab.until_finished(trial)
    status = lab.survived(trial, repeated_max=2 * CHECKPOINT_EVERY)
    assert status.attempts[1].resumed_from_step == int(good.name[5:13])
    assert f"{newest.name} was skipped: it is damaged" in status.attempts[1].skipped[0]
    assert "was skipped: it is damaged" in " ".join(lab.iwm("status").split())


def test_a_slow_folder_is_no_death(new_lab: Callable[..., Lab]) -> None:
    """A worker that hangs in the middle of a checkpoint, as one does on a share that does not answer."""
    lab = new_lab(nodes=1)
    (trial,) = lab.submit(SHORT)
    lab.until_checkpointed(trial)
    pid = stop_in_a_checkpoint(lab, trial)
    before = lab.status(trial)
    for _ in range(4):
        lab.look()
    assert lab.status(trial) == before
    assert before.state is State.RUNNING
    os.kill(pid, signal.SIGCONT)
    lab.until_finished(trial)
    assert [attempt.end for attempt in lab.survived(trial).attempts] == ["finished"]


def stop_in_a_checkpoint(lab: Lab, trial: str) -> int:
    """Stops the trial's worker while it writes one; its pid."""
    pid, folder = lab.status(trial).attempts[-1].pid, lab.folder(trial).checkpoints
    deadline = time.monotonic() + 60
    while True:
        while not list(folder.glob("*.tmp")):
            assert time.monotonic() < deadline
        os.kill(pid, signal.SIGSTOP)
        if list(folder.glob("*.tmp")):
            return pid
        os.kill(pid, signal.SIGCONT)
