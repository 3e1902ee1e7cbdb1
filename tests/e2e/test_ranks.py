"""`torchrun ... -m orchestrator.cli train`: all ranks train one trial, and rank 0 reports it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from iwm_core.events import Checkpoint, Started, Step
from orchestrator.planning.expand import single
from orchestrator.records import journal
from tests.e2e.conftest import TIMEOUT_S, Iwm, until
from tests.fakes.tiny import TINY

WORDS = (*TINY, "train.steps=40", "resources.device=cpu")
TRIAL = single(WORDS).trial.id


def torchrun(iwm: Iwm, *, ranks: int = 2) -> "subprocess.Popen[str]":
    """Starts the trial on that many ranks of this machine."""
    launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
    command = [sys.executable, *launch, "-m", "orchestrator.cli", "train", *WORDS, "--json", "--root"]
    environ = {**os.environ, "MLFLOW_TRACKING_URI": "", "IWM_DATABASE_URL": "", "IWM_STATE": "", "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [*command, str(iwm.layout.root)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ
    )
    iwm.started.append(process)
    return process


def workers(process: "subprocess.Popen[str]") -> dict[int, int]:
    """Rank -> process id of what torchrun started."""
    found = {}
    for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
        environ = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
        found |= {int(entry[5:]): int(child) for entry in environ if entry.startswith(b"RANK=")}
    return found


def test_two_ranks_stop_at_a_signal_to_the_second_and_one_goes_on(new_iwm: Callable[[str], Iwm]) -> None:
    iwm = new_iwm("ranks")
    stopped = torchrun(iwm)
    folder = iwm.layout.trial(TRIAL)
    until(lambda: [event for event in journal.read_journals(folder).get(0, ()) if isinstance(event, Step)])
    os.kill(workers(stopped)[1], signal.SIGTERM)
    out, err = stopped.communicate(timeout=TIMEOUT_S)
    assert stopped.returncode == 1, err
    said = json.loads(out)
    events = journal.read_journals(folder)[0]
    assert (said["event"], said["signal"]) == ("preempted", "SIGTERM")
    assert [event.step for event in events if isinstance(event, Checkpoint)][-1] == said["step"]

    ended = iwm.json("train", *WORDS)
    status = iwm.status(TRIAL)
    started = [event for events in journal.read_journals(folder).values() for event in events]
    ranks = [event.fingerprint["ranks"] for event in started if isinstance(event, Started)]
    assert (ended["event"], status.attempts[1].resumed_from_step, ranks) == ("finished", said["step"], [2, 1])
    assert not status.fingerprints_agree
    assert not status.drifted
