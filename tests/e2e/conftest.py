"""`iwm` as a person runs it: a process of its own, on a root of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from orchestrator.records.layout import Layout
from orchestrator.records.scan import read_status
from orchestrator.trial.lifecycle import TrialStatus
from tests.fakes.tiny import SWEEP

TIMEOUT_S = 240


@dataclass(frozen=True)
class Iwm:
    """The command, under one root."""

    layout: Layout
    cwd: Path
    started: list[subprocess.Popen[str]] = field(default_factory=list)
    environ: dict[str, str] = field(default_factory=dict)

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Starts a verb."""
        process = subprocess.Popen(
            [sys.executable, "-m", "orchestrator.cli", *words, "--root", str(self.layout.root)],
            cwd=self.cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "MLFLOW_TRACKING_URI": "", "IWM_DATABASE_URL": "", "IWM_STATE": "", **self.environ},
        )
        self.started.append(process)
        return process

    def end(self) -> None:
        """Kills what was left under this root: verbs, keepers, controllers, workers."""
        end_processes_of(self.layout.root)
        for process in self.started:
            process.kill()
            process.communicate()

    def run(self, *words: str, code: int = 0) -> str:
        """Runs a verb to its end and returns its standard output."""
        process = self.start(*words)
        out, err = process.communicate(timeout=TIMEOUT_S)
        assert process.returncode == code, err
        return out

    def json(self, *words: str) -> Any:
        """Runs a verb with --json."""
        return json.loads(self.run(*words, "--json"))

    def status(self, trial_id: str) -> TrialStatus:
        """What the trial's files say."""
        return read_status(self.layout.trial(trial_id))

    def end_of_sweep(self, name: str) -> list[dict[str, Any]]:
        """Asks for the status until nothing is under way; the sweep's trials."""

        def ended() -> list[dict[str, Any]]:
            trials = self.json("status", name)["sweeps"][0]["trials"]
            return [] if {trial["state"] for trial in trials} & {"queued", "running", "preempted"} else trials

        return until(ended, every_s=1.0)


def until(found: Callable[[], Any], *, every_s: float = 0.05) -> Any:
    """Waits for a truthy value."""
    deadline = time.monotonic() + TIMEOUT_S
    while not (value := found()):
        assert time.monotonic() < deadline, "this never came"
        time.sleep(every_s)
    return value


@pytest.fixture
def new_iwm(tmp_path: Path) -> Iterator[Callable[[str], Iwm]]:
    """Makes roots; ends the keepers and workers that were left under them."""
    made: list[Iwm] = []

    def make(name: str) -> Iwm:
        folder = tmp_path / name
        (folder / "sweeps" / "ablation").mkdir(parents=True)
        (folder / "sweeps" / "ablation" / "pair.yaml").write_text(SWEEP)
        made.append(Iwm(Layout.of(folder / "runs", environ={}), folder))
        return made[-1]

    yield make
    for iwm in made:
        iwm.end()


def end_processes_of(root: Path) -> None:
    """Kills what names this root on its command line: keepers, controllers, workers."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if str(root).encode() in (entry / "cmdline").read_bytes():
                    os.kill(int(entry.name), signal.SIGKILL)
            except (OSError, ProcessLookupError):
                continue


@pytest.fixture
def iwm(new_iwm: Callable[[str], Iwm]) -> Iwm:
    """One root."""
    return new_iwm("one")
