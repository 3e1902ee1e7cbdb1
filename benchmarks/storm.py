"""A storm: a sweep on a real SLURM in a box, and random faults until it has had enough of them.

    python -m benchmarks.storm --trials 24 --faults 60 --seed 0 [--json]

Every fault hits a trial that is at work, or the daemons, or our own service. At the end every trial must be finished
with the weights of its undisturbed twin, each metric must have one value per step in MLflow, and the ledger says how
many GPU-seconds were repeated and why. The exit code is 0 where all of that holds.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dashboards.cost import interruptions
from dashboards.report.tables import by_cause
from orchestrator import service
from orchestrator.devcluster import ClusterSpec, DevCluster
from orchestrator.errors import ClusterError
from orchestrator.host import environment
from orchestrator.launching.foreground import train_here
from orchestrator.planning.expand import expand
from orchestrator.records.layout import Layout
from orchestrator.records.scan import Census
from orchestrator.store.database import Store
from orchestrator.tracking import gather
from orchestrator.tracking.client import open_client
from orchestrator.trial.lifecycle import State, TrialStatus
from orchestrator.trial.results import SweepResults
from orchestrator.trial.sweep import Cell, Sweep

SPEC = ClusterSpec(nodes=4, cpus=1, gpus=0, grace_s=5, user_signal=True)
TINY = (
    "train.batch_size=16",
    "train.log_every=10",
    "evaluate.bank_images=2",
    "evaluate.bank_size=8",
    "evaluate.probe_train_images=200",
    "evaluate.probe_test_images=100",
    "conditioning=none,feature",
    "resources.device=cpu",
    "resources.checkpoint_every_steps=20",
    "resources.partition=gpu",
    "resources.cpus_per_gpu=1",
    "resources.lost_retries=99",
    "resources.oom_retries=99",
    "resources.error_retries=99",
)
SERVICE_S = 1.0
OVER = frozenset({State.FINISHED, State.FAILED})


@dataclass
class Storm:
    """A sweep at work, and what can happen to it."""

    cluster: DevCluster
    layout: Layout
    sweep: Sweep
    rng: random.Random
    only: Sequence[str]
    told: Counter[str] = field(default_factory=Counter)
    repairs: list[tuple[float, Callable[[], object]]] = field(default_factory=list)
    service_process: "subprocess.Popen[bytes] | None" = None

    def __post_init__(self) -> None:
        self.census = Census(self.layout)

    def statuses(self) -> dict[str, TrialStatus]:
        """Every trial's status, from its files."""
        return {cell.trial.id: self.census.status(cell.trial.id) for cell in self.sweep.cells}

    def start_service(self) -> None:
        """What `iwm serve` does with the cluster, in a process that can be killed."""
        command = [sys.executable, "-m", "benchmarks.storm", "--service", str(self.layout.root)]
        self.service_process = subprocess.Popen(command, cwd=Path(__file__).parents[1])

    def strike(self) -> str:
        """One fault, if there is a trial to hit; its name."""
        at_work = [
            (trial_id, status)
            for trial_id, status in self.statuses().items()
            if status.state is State.RUNNING and status.attempts[-1].checkpoint_step > 0
        ]
        if not at_work:
            return ""
        trial_id, status = self.rng.choice(at_work)
        name = self.rng.choice(self.only)
        with contextlib.suppress(ClusterError, ProcessLookupError):  # what was aimed at may have ended meanwhile
            FAULTS[name](self, trial_id, status)
            self.told[name] += 1
            return name
        return ""

    def later(self, seconds: float, repair: Callable[[], object]) -> None:
        """Mends something after a while."""
        self.repairs.append((time.monotonic() + seconds, repair))

    def mend(self, *, all_of_it: bool = False) -> None:
        """Does the repairs that are due, brings back what was cancelled by hand, and sees that daemons run."""
        due = [repair for t, repair in self.repairs if all_of_it or t <= time.monotonic()]
        self.repairs = [(t, repair) for t, repair in self.repairs if not (all_of_it or t <= time.monotonic())]
        for repair in due:
            with contextlib.suppress(ClusterError):
                repair()
        self._return_nodes()
        cancelled = [key for key, status in self.statuses().items() if status.state is State.CANCELLED]
        if cancelled:
            service.resume(self.layout, cancelled)
        if self.service_process and self.service_process.poll() is not None:
            self.start_service()

    def _return_nodes(self) -> None:
        """What an administrator would do: SLURM drains a node on which it finds a job that it has started elsewhere."""
        with contextlib.suppress(ClusterError):
            told = self.cluster.run("sinfo", "--noheader", "--Node", "--states=drained", "--format=%N")
            for node in sorted(set(told.split())):
                self.cluster.run("scontrol", "update", f"NodeName={node}", "State=RESUME")


def preempt(storm: Storm, trial_id: str, status: TrialStatus) -> None:
    node = status.attempts[-1].host
    size = ("--nodes=1", f"--nodelist={node}", "--exclusive", "--mem=0", "--output=/dev/null")
    storm.cluster.run("sbatch", "--partition=urgent", *size, "--wrap=sleep 1")


def requeue(storm: Storm, trial_id: str, status: TrialStatus) -> None:
    storm.cluster.run("scontrol", "requeue", status.job_id)


def hold_and_release(storm: Storm, trial_id: str, status: TrialStatus) -> None:
    storm.cluster.run("scontrol", "requeuehold", status.job_id)
    storm.later(4, lambda: storm.cluster.run("scontrol", "release", status.job_id))


def suspend(storm: Storm, trial_id: str, status: TrialStatus) -> None:
    storm.cluster.run("scontrol", "suspend", status.job_id)
    storm.later(3, lambda: storm.cluster.run("scontrol", "resume", status.job_id))


def user_signal(storm: Storm, trial_id: str, status: TrialStatus) -> None:
    storm.cluster.run("scancel", "--signal=USR2", status.job_id)


def scancel(storm: Storm, trial_id: str, status: TrialStatus) -> None:
    storm.cluster.run("scancel", status.job_id)


def kill_worker(storm: Storm, trial_id: str, status: TrialStatus) -> None:
    os.kill(status.attempts[-1].pid, signal.SIGKILL)


def tear_checkpoint(storm: Storm, trial_id: str, status: TrialStatus) -> None:
    newest = max(storm.layout.trial(trial_id).checkpoints.glob("step-*.pt"), default=None)
    os.kill(status.attempts[-1].pid, signal.SIGKILL)
    if newest:
        os.truncate(newest, newest.stat().st_size // 2)


def crash_node(storm: Storm, trial_id: str, status: TrialStatus) -> None:
    node = status.attempts[-1].host
    storm.cluster.crash(node)
    storm.later(storm.rng.choice((2, 15)), lambda: storm.cluster.start(node))


def down_node(storm: Storm, trial_id: str, status: TrialStatus) -> None:
    name = f"NodeName={status.attempts[-1].host}"
    storm.cluster.run("scontrol", "update", name, "State=DOWN", "Reason=storm")
    storm.later(6, lambda: storm.cluster.run("scontrol", "update", name, "State=RESUME"))


def partition_node(storm: Storm, trial_id: str, status: TrialStatus) -> None:
    """Its slurmd alone: what runs there goes on running while SLURM starts it elsewhere."""
    node = status.attempts[-1].host
    if pid := storm.cluster.pid(node):
        os.kill(pid, signal.SIGKILL)
        storm.later(14, lambda: storm.cluster.start(node))


def crash_controller(storm: Storm, trial_id: str, status: TrialStatus) -> None:
    storm.cluster.crash("slurmctld")
    storm.later(storm.rng.choice((0, 3)), lambda: storm.cluster.start("slurmctld"))


def crash_accounting(storm: Storm, trial_id: str, status: TrialStatus) -> None:
    storm.cluster.crash("slurmdbd")
    storm.later(5, lambda: storm.cluster.start("slurmdbd"))


def kill_service(storm: Storm, trial_id: str, status: TrialStatus) -> None:
    if storm.service_process:
        storm.service_process.kill()
        storm.service_process.wait()


FAULTS: dict[str, Callable[[Storm, str, TrialStatus], None]] = {
    fault.__name__: fault
    for fault in (
        preempt,
        requeue,
        hold_and_release,
        suspend,
        user_signal,
        scancel,
        kill_worker,
        tear_checkpoint,
        crash_node,
        down_node,
        partition_node,
        crash_controller,
        crash_accounting,
        kill_service,
    )
}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of it."""

    results: SweepResults
    faults: dict[str, int]
    differing: tuple[str, ...]
    doubled: tuple[str, ...]
    seconds: float

    @property
    def sound(self) -> bool:
        """Whether everything is as if nothing had happened."""
        finished = all(trial.state is State.FINISHED for trial in self.results.trials)
        return finished and not self.differing and not self.doubled


def run_storm(
    folder: Path, *, trials: int, faults: int, steps: int, seed: int, only: Sequence[str] = (), log: bool = False
) -> Outcome:
    """A whole storm in this folder, on a cluster of its own; the process's environment is turned to it meanwhile.

    `only`: names of the faults to draw from; empty: all of `FAULTS`.
    """
    layout = Layout.of(folder / "runs", environ={})
    sweep = expand("demo", [*TINY, f"train.steps={steps}", f"seed=range({trials // 2})", *ONE_CELL], sweeps_dir=None)
    assert len(sweep.cells) == trials
    started = time.monotonic()
    with DevCluster.up(folder / "c", spec=SPEC) as cluster, _turned_to(cluster):
        storm = Storm(cluster, layout, sweep, random.Random(seed), only or list(FAULTS))
        service.submit(layout, sweep, launcher="slurm")
        storm.start_service()
        try:
            _rage(storm, faults=faults, log=log)
        finally:
            assert storm.service_process
            storm.service_process.kill()
            storm.service_process.wait()
    seconds = time.monotonic() - started
    twins = Layout.of(folder / "twins", environ={})
    expected = {cell.trial.id: _weights(twins, cell) for cell in sweep.cells}
    with service.observed(layout) as store:
        results = store.results(sweep.id)
        doubled = _doubled_points(layout, store)
    found = {trial.id: trial.status.weights_sha256 for trial in results.trials}
    differing = tuple(key for key in expected if found.get(key) != expected[key])
    return Outcome(
        results=results, faults=dict(storm.told), differing=differing, doubled=doubled, seconds=round(seconds, 1)
    )


ONE_CELL = ("photometric.strength=1", "predictor.depth=1")


def _rage(storm: Storm, *, faults: int, log: bool) -> None:
    """Faults, one after the other with a short breath between, until enough; then peace until the end."""
    next_at = time.monotonic()
    while True:
        storm.mend()
        states = Counter(status.state for status in storm.statuses().values())
        if sum(states[state] for state in OVER) == len(storm.sweep.cells):
            break
        count = sum(storm.told.values())
        if count < faults and time.monotonic() >= next_at and (name := storm.strike()):
            next_at = time.monotonic() + storm.rng.uniform(0.5, 3.0)
            if log:
                print(f"{count + 1:3} {name:<18} {dict(states)}", file=sys.stderr, flush=True)
        if count >= faults:
            storm.mend(all_of_it=True)
        time.sleep(0.3)
    storm.mend(all_of_it=True)


def _weights(layout: Layout, cell: Cell) -> str:
    train_here(layout, cell)
    return Census(layout).status(cell.trial.id).weights_sha256


def _doubled_points(layout: Layout, store: Store) -> tuple[str, ...]:
    """Metrics that have more, or fewer, values in MLflow than steps in the trial's history."""
    gather.sync(layout, store)
    client = open_client(layout)
    experiment = client.get_experiment_by_name("iwm")
    assert experiment
    wrong = []
    for run in client.search_runs([experiment.experiment_id], max_results=1000):
        expected: dict[str, list[int]] = {}
        for point in store.points(run.data.tags["iwm.trial_id"]):
            expected.setdefault(point.key, []).append(point.step)
        for key in run.data.metrics:
            steps = sorted(metric.step for metric in client.get_metric_history(run.info.run_id, key))
            if key in expected and steps != sorted(expected[key]):
                wrong.append(f"{run.data.tags['iwm.trial_id']}: {key}")
    return tuple(wrong)


def _turned_to(cluster: DevCluster) -> contextlib.AbstractContextManager[None]:
    return environment.changed({key: cluster.env[key] for key in ("SLURM_CONF", "PATH")})


def serve(root: Path) -> None:
    """Looks again and again, as `iwm serve` does."""
    layout = Layout.of(root, environ={})
    store = Store.open(layout.database_url)
    while True:
        service.observe(layout, store)
        time.sleep(SERVICE_S)


def report(outcome: Outcome) -> str:
    """What came of it, for a person."""
    states = Counter(trial.state.value for trial in outcome.results.trials)
    attempts = sum(len(trial.status.attempts) for trial in outcome.results.trials)
    grid = by_cause(interruptions(outcome.results))
    lines = [
        f"{len(outcome.results.trials)} trials, {sum(outcome.faults.values())} faults in {outcome.seconds:.0f} s",
        f"faults: {', '.join(f'{name} {times}' for name, times in sorted(outcome.faults.items()))}",
        f"states: {dict(states)}; attempts: {attempts}",
        f"weights that differ from the undisturbed twin's: {len(outcome.differing)} {' '.join(outcome.differing)}",
        f"metrics without one value per step in MLflow: {len(outcome.doubled)} {' '.join(outcome.doubled[:5])}",
        "",
        *("  ".join(f"{word:<22}" for word in row).rstrip() for row in (grid.header, *grid.rows)),
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=24, help="an even number")
    parser.add_argument("--faults", type=int, default=60)
    parser.add_argument("--steps", type=int, default=400, help="of each trial")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--service", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.service:
        return serve(chosen.service)
    folder = Path(tempfile.mkdtemp(prefix="iwm-storm-", dir="/tmp"))
    try:
        outcome = run_storm(
            folder, trials=chosen.trials, faults=chosen.faults, steps=chosen.steps, seed=chosen.seed, log=True
        )
    finally:
        if os.environ.get("IWM_KEEP") != "1":
            shutil.rmtree(folder, ignore_errors=True)
    if chosen.json:
        grid = by_cause(interruptions(outcome.results))
        ledger = [dict(zip(grid.header, row, strict=True)) for row in grid.rows]
        told = {"faults": outcome.faults, "seconds": outcome.seconds, "ledger": ledger, "sound": outcome.sound}
        print(json.dumps(told))
    else:
        print(report(outcome))
    sys.exit(not outcome.sound)


if __name__ == "__main__":
    main()
