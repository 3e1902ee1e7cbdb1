"""`iwm demo --launcher slurm`: the demo's sweep on a real SLURM in a box that preempts trials and loses a node.

    boot a cluster -> submit 12 trials as one array -> an urgent job preempts two -> a node crashes under a third
    -> every trial finishes -> the table, and each trial's weights beside those of the local demo

The cluster runs on this machine and is deleted afterwards. If the local demo has not been run under the same root, the
disturbed trials are compared with undisturbed twins, trained in this machine's slots.
"""

import contextlib
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from dashboards.cost import interruptions
from dashboards.report.tables import by_cause
from orchestrator import service
from orchestrator.demo.here import SWEEP
from orchestrator.demo.watch import Statuses, below, describe, follow, gathered, is_ripe, places, print_answer
from orchestrator.devcluster import ClusterSpec, DevCluster
from orchestrator.errors import IwmError
from orchestrator.host import console, environment
from orchestrator.planning.expand import expand
from orchestrator.planning.plan import Mode
from orchestrator.records.layout import Layout
from orchestrator.records.scan import read_status
from orchestrator.trial.launchers import SLURM
from orchestrator.trial.lifecycle import State, TrialStatus
from orchestrator.trial.results import SweepResults
from orchestrator.trial.sweep import Cell, Sweep

AT_ONCE = 2
SPEC = ClusterSpec(nodes=AT_ONCE + 1, cpus=1, gpus=0)
"""One CPU per node, so one trial per node, and a spare node for when one is lost."""
RECONCILE_S = 2.0
OVERRIDES = ("resources.partition=gpu", f"resources.max_parallel={AT_ONCE}")


def run_demo_on_slurm(layout: Layout, *, steps: int | None) -> None:
    """Run the whole demo, with `steps` per trial instead of the sweep's.

    Raises:
        RequestError: SLURM is not installed here; it names the packages.
        IwmError: a trial did not finish, or weights differ.
        KeyboardInterrupt: after Ctrl-C; the same command continues from the last checkpoints.
    """
    sweep = expand(SWEEP, [*OVERRIDES, *([f"train.steps={steps}"] if steps else [])], sweeps_dir=None)
    inside = below(layout, "slurm")
    say = console.err()
    with _booted(say) as cluster:
        service.submit(inside, sweep, mode=Mode.RESUME, launcher=SLURM)
        say.print(f"{len(sweep.cells)} trials in one array, {AT_ONCE} at a time, in {inside.root}")
        follow(inside, sweep, say=say, each_look=_Disturbance(inside, sweep, say, cluster))
    results = gathered(inside, sweep, say=say)
    expected = _expected(layout, sweep, results, say=say)
    print_answer(results)
    ended = {trial.id: trial.status for trial in results.trials}
    differing = [key[:8] for key, status in expected.items() if not is_equal(ended[key], status)]
    same = f"{len(expected) - len(differing)} of {len(expected)}"
    out = console.out()
    out.print("", story_table(results), ledger_table(results), sep="\n")
    out.print(f"\n{same} trials have the weights and metrics of their undisturbed twins, bit for bit")
    out.print(places(inside, results), soft_wrap=True)
    if differing:
        message = f"the weights or metrics of {', '.join(differing)} differ from their twins': please report this bug"
        raise IwmError(message, value=differing)


@contextlib.contextmanager
def _booted(say: Console) -> Iterator[DevCluster]:
    """A cluster for the length of a block, selected by this process's environment."""
    folder = Path(tempfile.mkdtemp(prefix="iwm-slurm-", dir="/tmp"))
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the cluster must not outlive us
    try:
        started = time.monotonic()
        with DevCluster.up(folder / "c", spec=SPEC) as cluster:
            say.print(f"a SLURM of {SPEC.nodes} nodes, booted in {time.monotonic() - started:.1f} s in {folder / 'c'}")
            with environment.changed({key: cluster.env[key] for key in ("SLURM_CONF", "PATH")}):
                yield cluster
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class _Disturbance:
    """Disturbs the sweep at the right moments: first the preemption of two trials, then the loss of a node."""

    layout: Layout
    sweep: Sweep
    say: Console
    cluster: DevCluster
    preempted: frozenset[str] = frozenset()  # the trials that ran when the urgent job came
    crashed: bool = False
    reconciled: float = 0.0

    def __call__(self, statuses: Statuses) -> None:
        """Preempt, crash and reconcile where it is time to."""
        ripe = [cell for cell in self.sweep.cells if is_ripe(statuses[cell.trial.id])]
        if not self.preempted and len(ripe) >= AT_ONCE:
            self.preempted = frozenset(cell.trial.id for cell in ripe)
            everything = ("--partition=urgent", f"--nodes={SPEC.nodes}", "--exclusive")
            self.cluster.run("sbatch", *everything, "--job-name=urgent", "--wrap=sleep 2", "--output=/dev/null")
            for cell in ripe:
                self._print("PREEMPT", cell, statuses[cell.trial.id])
        spared = [cell for cell in ripe if cell.trial.id not in self.preempted]
        if self.preempted and not self.crashed and spared:
            self.crashed = True
            node = statuses[spared[0].trial.id].attempts[-1].host
            self.cluster.crash(node)
            self._print(f"CRASH {node}", spared[0], statuses[spared[0].trial.id])
        if time.monotonic() - self.reconciled > RECONCILE_S:
            with service.observed(self.layout):
                self.reconciled = time.monotonic()

    def _print(self, what: str, cell: Cell, status: TrialStatus) -> None:
        self.say.print(f"{what:<9} {cell.trial.id[:8]}  {describe(cell):<40} on purpose, at step {status.step}")


def _expected(layout: Layout, sweep: Sweep, results: SweepResults, *, say: Console) -> Statuses:
    """The statuses of undisturbed trials by id: those of the local demo, or twins of the disturbed ones."""
    found = {cell.trial.id: read_status(layout.trial(cell.trial.id)) for cell in sweep.cells}
    known = {key: status for key, status in found.items() if status.state is State.FINISHED}
    disturbed = {trial.id for trial in results.trials if len(trial.status.attempts) > 1}
    wanted = [cell for cell in sweep.cells if cell.trial.id in disturbed - known.keys()]
    return {**known, **(_twins(below(layout, "twin"), wanted, say=say) if wanted else {})}


def _twins(layout: Layout, cells: Sequence[Cell], *, say: Console) -> Statuses:
    """Train these trials in this machine's slots, undisturbed."""
    say.print(f"training {len(cells)} undisturbed twins in this machine's slots")
    sweep = Sweep(name="twins", axes=tuple(cells[0].overrides), cells=tuple(cells))
    for cell in cells:
        if len(read_status(layout.trial(cell.trial.id)).attempts) > 1:
            shutil.rmtree(layout.trial(cell.trial.id).path)
    service.submit(layout, sweep, mode=Mode.RESUME)
    return follow(layout, sweep, say=say)


def is_equal(status: TrialStatus, twin: TrialStatus) -> bool:
    """Return True for the same weights and metrics; metrics of the wall clock do not count."""
    from iwm_core.events import is_telemetry

    keys = {key for key in status.metrics.keys() | twin.metrics.keys() if not is_telemetry(key)}
    return status.weights_sha256 == twin.weights_sha256 and all(
        status.metrics.get(key) == twin.metrics.get(key) for key in keys
    )


def story_table(results: SweepResults) -> Table:
    """A table of the disturbed trials."""
    headings = ("trial", "attempts on", "ended by", "at step", "resumed from step")
    table = console.table("Disturbed on purpose.", headings)
    for trial in results.trials:
        before, after = trial.status.attempts[:-1], trial.status.attempts[1:]
        if after:
            table.add_row(
                trial.id[:8],
                ", ".join(attempt.host for attempt in trial.status.attempts),
                ", ".join(attempt.cause for attempt in before),
                ", ".join(str(attempt.step) for attempt in before),
                ", ".join(str(attempt.resumed_from_step) for attempt in after),
            )
    return table


def ledger_table(results: SweepResults) -> Table:
    """A table of the disturbances' cost."""
    grid = by_cause(interruptions(results))
    return console.table(grid.caption, grid.header, grid.rows, right=grid.header[grid.labels :])
