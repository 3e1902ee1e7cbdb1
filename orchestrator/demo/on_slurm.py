"""`iwm demo --launcher slurm`: the demo's sweep on a real SLURM, in a box, that preempts and loses a node.

    boot a cluster -> submit 12 trials as one array -> an urgent job preempts two -> a node crashes under a third
    -> every trial finishes -> the table, and each trial's weights beside those of the local demo

The cluster is this machine's own and gone afterwards. Where the local demo has not been run under the same root, the
trials that were disturbed are compared with undisturbed twins, trained in this machine's slots.
"""

import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from dashboards.cost import interruptions
from dashboards.report.tables import by_cause
from orchestrator import service
from orchestrator.demo.answer import gathered, places, print_answer
from orchestrator.demo.here import SWEEP
from orchestrator.demo.watch import Watch, check, describe, is_ripe
from orchestrator.devcluster import ClusterSpec, DevCluster
from orchestrator.errors import IwmError
from orchestrator.host import console
from orchestrator.planning.expand import expand
from orchestrator.planning.plan import Mode
from orchestrator.records.layout import Layout, sqlite_url
from orchestrator.records.scan import read_status
from orchestrator.trial.launchers import SLURM
from orchestrator.trial.lifecycle import ENDED, State, TrialStatus
from orchestrator.trial.results import SweepResults
from orchestrator.trial.sweep import Cell, Sweep

AT_ONCE = 2
SPEC = ClusterSpec(nodes=AT_ONCE + 1, cpus=1, gpus=0)
"""One CPU per node, so one trial per node, and a spare for when one is lost."""
LOOK_S = 0.5
RECONCILE_S = 2.0
OVERRIDES = ("resources.partition=gpu", f"resources.max_parallel={AT_ONCE}")


def run_demo_on_slurm(layout: Layout, *, steps: int | None) -> None:
    """The whole demo.

    Raises:
        RequestError: SLURM is not installed here; it names the packages.
        IwmError: a trial did not finish, or weights differ.
        KeyboardInterrupt: after Ctrl-C; the same command goes on from the last checkpoints.
    """
    sweep = expand(SWEEP, [*OVERRIDES, *([f"train.steps={steps}"] if steps else [])], sweeps_dir=None)
    inside = below(layout, "slurm")
    say = console.err()
    with _cluster(say):
        service.submit(inside, sweep, mode=Mode.RESUME, launcher=SLURM)
        say.print(f"{len(sweep.cells)} trials in one array, {AT_ONCE} at a time, in {inside.root}")
        _Story(inside, sweep, say=say, cluster=DevCluster.at(Path(os.environ["SLURM_CONF"]).parent)).follow()
    results = gathered(inside, sweep, say=say)
    expected = _expected(layout, sweep, results, say=say)
    _answer(inside, results, expected=expected)


def below(layout: Layout, name: str) -> Layout:
    """A root of its own below this one, with databases of its own."""
    root = layout.root / name
    databases = {"database_url": sqlite_url(root / "orchestrator.db"), "tracking_uri": sqlite_url(root / "mlflow.db")}
    return replace(layout, root=root, state=root, **databases)


@contextlib.contextmanager
def _cluster(say: Console) -> Iterator[None]:
    """A cluster for the length of a block, to which this process's SLURM commands go."""
    folder = Path(tempfile.mkdtemp(prefix="iwm-slurm-", dir="/tmp"))
    before = dict(os.environ)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the cluster must not outlive us
    try:
        started = time.monotonic()
        with DevCluster.up(folder / "c", spec=SPEC) as cluster:
            say.print(f"a SLURM of {SPEC.nodes} nodes, booted in {time.monotonic() - started:.1f} s in {folder / 'c'}")
            os.environ.update({key: cluster.env[key] for key in ("SLURM_CONF", "PATH")})
            yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class _Story:
    """What happens to the sweep: first a preemption of two trials, then the loss of a node."""

    layout: Layout
    sweep: Sweep
    say: Console
    cluster: DevCluster
    preempted: frozenset[str] = frozenset()  # trials that the urgent job was meant to hit
    crashed: bool = False

    def follow(self) -> None:
        """Until every trial has ended."""
        watch, looked = Watch(self.layout, self.sweep, say=self.say), 0.0
        with watch.progress:
            while True:
                statuses = watch.look()
                if all(status.state in ENDED for status in statuses.values()):
                    break
                self._disturb(statuses)
                if time.monotonic() - looked > RECONCILE_S:
                    with service.observed(self.layout):
                        looked = time.monotonic()
                time.sleep(LOOK_S)
        check(statuses)

    def _disturb(self, statuses: Mapping[str, TrialStatus]) -> None:
        ripe = [cell for cell in self.sweep.cells if is_ripe(statuses[cell.trial.id])]
        if not self.preempted and len(ripe) >= AT_ONCE:
            self.preempted = frozenset(cell.trial.id for cell in ripe)
            everything = ("--partition=urgent", f"--nodes={SPEC.nodes}", "--exclusive")
            self.cluster.run("sbatch", *everything, "--job-name=urgent", "--wrap=sleep 2", "--output=/dev/null")
            for cell in ripe:
                self._tell("PREEMPT", cell, statuses[cell.trial.id])
        spared = [cell for cell in ripe if cell.trial.id not in self.preempted]
        if self.preempted and not self.crashed and spared:
            self.crashed = True
            node = statuses[spared[0].trial.id].attempts[-1].host
            self.cluster.crash(node)
            self._tell(f"CRASH {node}", spared[0], statuses[spared[0].trial.id])

    def _tell(self, what: str, cell: Cell, status: TrialStatus) -> None:
        self.say.print(f"{what:<9} {cell.trial.id[:8]}  {describe(cell):<40} on purpose, at step {status.step}")


def disturbed(results: SweepResults) -> list[str]:
    """The trials that took more than one attempt."""
    return [trial.id for trial in results.trials if len(trial.status.attempts) > 1]


def _expected(layout: Layout, sweep: Sweep, results: SweepResults, *, say: Console) -> dict[str, TrialStatus]:
    """What undisturbed trials of the same values came to: those of the local demo, or twins of the disturbed ones."""
    ids = [cell.trial.id for cell in sweep.cells]
    found = {trial_id: read_status(layout.trial(trial_id)) for trial_id in ids}
    known = {key: status for key, status in found.items() if status.state is State.FINISHED}
    wanted = [cell for cell in sweep.cells if cell.trial.id in disturbed(results) and cell.trial.id not in known]
    return known | (_twins(below(layout, "twin"), wanted, say=say) if wanted else {})


def _twins(layout: Layout, cells: Sequence[Cell], *, say: Console) -> dict[str, TrialStatus]:
    """Trains these trials in this machine's slots, undisturbed."""
    say.print(f"training {len(cells)} undisturbed twins in this machine's slots")
    sweep = Sweep(name="twins", axes=tuple(cells[0].overrides), cells=tuple(cells))
    for cell in cells:
        if len(read_status(layout.trial(cell.trial.id)).attempts) > 1:
            shutil.rmtree(layout.trial(cell.trial.id).path)
    service.submit(layout, sweep, mode=Mode.RESUME)
    watch = Watch(layout, sweep, say=say)
    with watch.progress:
        statuses = watch.look()
        while not all(status.state in ENDED for status in statuses.values()):
            time.sleep(LOOK_S)
            statuses = watch.look()
    check(statuses)
    return statuses


def _answer(layout: Layout, results: SweepResults, *, expected: Mapping[str, TrialStatus]) -> None:
    print_answer(results)
    out = console.out()
    out.print("", story_table(results), ledger_table(results), sep="\n")
    equal = [key for key, status in expected.items() if is_equal(_status(results, key), status)]
    out.print(
        f"\n{len(equal)} of {len(expected)} trials have the weights and metrics of their undisturbed twins, bit for bit"
    )
    out.print(places(layout, results), soft_wrap=True)
    if len(equal) < len(expected):
        differing = ", ".join(key[:8] for key in expected if key not in equal)
        raise IwmError(f"the weights or metrics of {differing} differ from their twins': please report this")


def _status(results: SweepResults, trial_id: str) -> TrialStatus:
    return next(trial.status for trial in results.trials if trial.id == trial_id)


def is_equal(status: TrialStatus, twin: TrialStatus) -> bool:
    """The same weights, and the same values of every metric but those of the wall clock."""
    from iwm_core.events import is_telemetry

    keys = {key for key in status.metrics.keys() | twin.metrics.keys() if not is_telemetry(key)}
    return status.weights_sha256 == twin.weights_sha256 and all(
        status.metrics.get(key) == twin.metrics.get(key) for key in keys
    )


def story_table(results: SweepResults) -> Table:
    """What happened to the trials that were disturbed."""
    table = Table(title="Disturbed on purpose.", title_justify="left", box=None, pad_edge=False)
    for heading in ("trial", "attempts on", "ended by", "at step", "resumed from step"):
        table.add_column(heading)
    for trial in results.trials:
        if len(trial.status.attempts) > 1:
            before, after = trial.status.attempts[:-1], trial.status.attempts[1:]
            table.add_row(
                trial.id[:8],
                ", ".join(attempt.host for attempt in trial.status.attempts),
                ", ".join(attempt.cause for attempt in before),
                ", ".join(str(attempt.step) for attempt in before),
                ", ".join(str(attempt.resumed_from_step) for attempt in after),
            )
    return table


def ledger_table(results: SweepResults) -> Table:
    """What that has cost."""
    grid = by_cause(interruptions(results))
    table = Table(title=grid.caption, title_justify="left", box=None, pad_edge=False)
    for place, heading in enumerate(grid.header):
        table.add_column(heading, justify="left" if place < grid.labels else "right")
    for row in grid.rows:
        table.add_row(*row)
    return table
