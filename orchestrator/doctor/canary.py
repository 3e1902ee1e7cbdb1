"""`iwm doctor --canary`: a real trial through the real launcher, asked to give way twice, followed to its end.

It lies in a folder of its own under the root, which goes when all is well and stays where something failed.
"""

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from orchestrator import service
from orchestrator.doctor.canary_stages import CanaryStages
from orchestrator.doctor.finding import Finding, Verdict
from orchestrator.doctor.partitions import CanaryRequest, Partition, choose, parse_partitions, partitions_command
from orchestrator.doctor.site import Ask
from orchestrator.host.signals import stop_flag
from orchestrator.planning.expand import single
from orchestrator.records.layout import Layout, sqlite_url
from orchestrator.store.database import Store
from orchestrator.trial.sweep import Cell

SUBJECT = "canary"
MINUTES = 5
TRIAL = (
    "train.log_every=10",
    "evaluate.bank_images=4",
    "evaluate.bank_size=16",
    "evaluate.probe_train_images=500",
    "evaluate.probe_test_images=200",
    "resources.checkpoint_every_steps=10",
)
STEPS_CPU, STEPS_GPU = 300, 6000
"""Half a minute: long enough to be interrupted twice."""


def prepare(request: CanaryRequest, *, ask: Ask) -> list[tuple[str, Cell]]:
    """(partition, trial) of every canary; none where SLURM does not answer.

    Raises:
        RequestError, ConfigError: no such partition, or overrides that mean nothing.
    """
    partitions = parse_partitions(ask(partitions_command()).out)
    chosen = choose(partitions, names=request.partitions) if partitions else []
    return [(one.name, canary_cell(one, request.overrides, sweeps=request.sweeps)) for one in chosen]


def send_all(
    layout: Layout, canaries: Sequence[tuple[str, Cell]], *, wait_s: float, say: Callable[[str], None]
) -> list[Finding]:
    """Sends one after the other.

    Raises:
        KeyboardInterrupt: SIGINT, SIGTERM or SIGHUP came; the job is cancelled and its folder removed.
    """
    if not canaries:
        means = "it needs a SLURM that answers"
        return [Finding(subject=SUBJECT, name="submit", verdict=Verdict.FAILED, value="not sent", means=means)]
    flown = (send(layout, cell, subject=f"{SUBJECT} {name}", wait_s=wait_s, say=say) for name, cell in canaries)
    return [finding for findings in flown for finding in findings]


def canary_cell(partition: Partition, overrides: Sequence[str] = (), *, sweeps: Path | None = None) -> Cell:
    """The trial for this partition; on the CPU where that has no GPUs. Overrides win.

    Raises:
        RequestError, ConfigError: overrides that mean nothing.
    """
    minutes = min(MINUTES, partition.max_minutes or MINUTES)
    limits = (f"resources.time_limit_min={minutes}", f"resources.signal_before_s={minutes * 10}")
    device = () if partition.gpus else ("resources.device=cpu",)
    words = [*TRIAL, *limits, *device, *overrides, f"resources.partition='{partition.name}'"]
    steps = STEPS_CPU if single(words, sweeps_dir=sweeps).resources.device == "cpu" else STEPS_GPU
    return single([f"train.steps={steps}", *words], sweeps_dir=sweeps)


def send(layout: Layout, cell: Cell, *, subject: str, wait_s: float, say: Callable[[str], None]) -> list[Finding]:
    """Sends one trial. A failure ends its stages, and keeps its files."""
    findings: list[Finding] = []
    with stop_flag() as stop, _Cage(layout) as cage, Store.open(cage.layout.database_url) as store:
        stages = CanaryStages(cage.layout, store, cell, subject=subject, wait_s=wait_s, stop=stop)
        try:
            for finding in stages.legs():
                say(f"{finding.subject}: {finding.name}: {finding.verdict} ({finding.value})")
                findings.append(finding)
                if finding.verdict is Verdict.FAILED:
                    cage.kept = True
                    findings[-1] = replace(finding, means=f"{finding.means}; its files stay in {cage.layout.root}")
                    break
        finally:
            stages.end()
    return findings


class _Cage:
    """A root of its own under the root, where the nodes find it; databases are on this host's disk."""

    def __init__(self, layout: Layout) -> None:
        self._outer, self._is_new = layout.root, not layout.root.exists()
        service.check_root(layout)
        root = Path(tempfile.mkdtemp(prefix="canary-", dir=layout.root))
        self._state = tempfile.TemporaryDirectory(prefix="iwm-")
        state = Path(self._state.name)
        urls = {"database_url": sqlite_url(state / "orchestrator.db"), "tracking_uri": sqlite_url(state / "mlflow.db")}
        self.layout = replace(layout, root=root, state=state, **urls)
        self.kept = False

    def __enter__(self) -> "_Cage":
        return self

    def __exit__(self, *error: object) -> None:
        self._state.cleanup()
        if self.kept:
            return
        shutil.rmtree(self.layout.root, ignore_errors=True)
        if self._is_new:
            with contextlib.suppress(OSError):
                self._outer.rmdir()
