"""Two attempts of one trial alive at once: the older stops, and what it wrote after the newer started is not read."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from iwm_core.events import Event, Step
from orchestrator.launching import leases
from orchestrator.planning.expand import single
from orchestrator.records import journal
from orchestrator.records.layout import Layout, TrialFolder
from orchestrator.records.scan import read_status
from orchestrator.trial.launchers import SLURM
from orchestrator.worker.attempt import Job, Superseded, run_attempt
from tests.fakes.tiny import TINY
from tests.slurm.lab import Lab, Twins

STEPS = 40
OVERTAKEN_AT = 20
"""The older attempt has logged this step, and is about to write its checkpoint."""
STOPPED_AT = 16
"""Where the newer attempt, which goes on from step 10, is preempted: one step after it has logged one."""


def test_late_words_and_late_checkpoints_of_an_older_attempt_are_not_read(tmp_path: Path, twins: Twins) -> None:
    """The newer attempt runs inside a step of the older one, all of whose next writes are therefore late."""
    cell = single([*TINY, f"train.steps={STEPS}"])
    folder = leases.write_trial(Layout.of(tmp_path, environ={}), cell.trial)
    assert leases.claim(folder, resources=cell.resources, token="t", launcher=SLURM)

    def overtake(event: Event) -> None:
        if isinstance(event, Step) and event.step == OVERTAKEN_AT:
            start(folder, restart=1, stop=lambda: "SIGTERM" if logged(folder, 1) else None)

    with pytest.raises(Superseded, match="attempt 1"):
        start(folder, restart=0, listen=overtake)
    late = folder.checkpoints / f"step-{OVERTAKEN_AT:08d}-a0000.pt"
    assert late.exists()
    assert f'"event": "checkpoint", "step": {OVERTAKEN_AT}' in folder.attempt(0).read_text()
    assert read_status(folder).attempts[0].checkpoint_step == 10

    start(folder, restart=2)
    status = read_status(folder)
    assert [a.end for a in status.attempts] == ["lost", "preempted", "finished"]
    assert [a.resumed_from_step for a in status.attempts] == [0, 10, STOPPED_AT]
    assert any("newer attempt" in words for words in status.attempts[2].skipped)
    assert status.weights_sha256 == twins.weights(cell.trial)
    assert not late.exists()


def start(
    folder: TrialFolder,
    *,
    restart: int,
    listen: Callable[[Event], None] = lambda event: None,
    stop: Callable[[], str | None] = lambda: None,
) -> None:
    """One start of the trial's job."""
    run_attempt(folder, job=Job(job_id="7", restart=restart, token="t", in_slurm=True), should_stop=stop, listen=listen)


def logged(folder: TrialFolder, number: int) -> list[int]:
    """The steps that an attempt logged."""
    return [event.step for event in journal.read_journals(folder)[number] if isinstance(event, Step)]


def test_a_node_that_slurm_has_given_up_goes_on_until_the_trial_starts_elsewhere(new_lab: Callable[..., Lab]) -> None:
    """Only slurmd dies: SLURM starts the job on the other node while its first step is alive, and here asleep."""
    lab = new_lab(nodes=2, node_timeout_s=5)
    (trial,) = lab.submit("resources.partition=gpu")
    node = lab.until_checkpointed(trial)
    older = lab.status(trial).attempts[0].pid
    os.kill(lab.cluster.pid(node) or 0, signal.SIGKILL)
    os.kill(older, signal.SIGSTOP)
    lab.until_checkpointed(trial, attempt=1)
    os.kill(older, signal.SIGCONT)
    lab.until(lambda: not Path(f"/proc/{older}").exists())
    lab.until_finished(trial)
    ends = [(a.restart, a.host == node, a.end) for a in lab.survived(trial).attempts]
    assert ends == [(0, True, "lost"), (1, False, "finished")]
    assert "attempt 1 has started" in said(lab, trial, restart=0)
    assert lab.finishes(trial) == 1


def said(lab: Lab, trial_id: str, *, restart: int) -> str:
    """What one start of the job wrote."""
    files = sorted(lab.folder(trial_id).logs.glob(f"*-r{restart}.err"))
    return "".join(file.read_text() for file in files)
