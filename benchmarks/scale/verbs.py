"""The verbs on ten thousand trials, as whole processes: plan, submit again, status; and the service's memory."""

import json
import sys

from benchmarks.scale.bench import Bench, Row, run
from benchmarks.scale.roots import World

PLAN_S = 10.0
RESUBMIT_S = 5.0
STATUS_S = 1.0
BELOW_MB = 300.0
LOOKS = 3
SEND_S = 20.0
"""How long trials are sent. Each is sent alone, so more of them need no more memory."""


def plan(bench: Bench) -> list[Row]:
    """`iwm plan` on an empty root."""
    world = bench.mixed
    empty = World(bench.folder / "empty", world.sweep, world.words)
    took = bench.time_iwm("plan", *world.words, world=empty)
    return [Row.of_times(took, part="plan", what=f"iwm plan, {len(world.sweep.cells):,} trials", below=PLAN_S)]


def resubmit(bench: Bench) -> list[Row]:
    """`iwm submit` of a sweep whose trials are all finished, under way or cancelled, at two sizes."""
    return [_resubmit(bench, world=bench.small), _resubmit(bench, world=bench.mixed)]


def _resubmit(bench: Bench, *, world: World) -> Row:
    bench.time_iwm("status", world=world, runs=1)
    took = bench.time_iwm("submit", *world.words, world=world)
    command = [sys.executable, "-m", "orchestrator.cli", "submit", *world.words, "--root", str(world.root), "--json"]
    jobs = json.loads(run(command))["jobs"]
    what = f"iwm submit again, {len(world.sweep.cells):,} trials, {len(jobs)} jobs started"
    return Row.of_times(took, part="resubmit", what=what, below=RESUBMIT_S)


def status(bench: Bench) -> list[Row]:
    """`iwm status` while nothing has changed on disk: most trials have ended, or none has."""
    return [
        _status(bench, world=bench.mixed, which="trials"),
        _status(bench, world=bench.live, which="live trials"),
        _status(bench, "--json", world=bench.mixed, which="trials", below=None),
    ]


def _status(bench: Bench, *words: str, world: World, which: str, below: float | None = STATUS_S) -> Row:
    bench.time_iwm("status", world=world, runs=1)
    took = bench.time_iwm("status", *words, world=world)
    what = " ".join(("iwm status", *words)) + f", {len(world.sweep.cells):,} {which}"
    return Row.of_times(took, part="status", what=what, below=below)


def first_refresh(bench: Bench) -> list[Row]:
    """The first `iwm status` on a root, which reads every file and creates the database."""
    world = bench.mixed
    took = []
    for _ in range(bench.runs):
        forget(world)
        took += bench.time_iwm("status", world=world, runs=1)
    what = f"first iwm status, {len(world.sweep.cells):,} trials"
    return [Row.of_times(took, part="first", what=what)]


def forget(world: World) -> None:
    """Deletes the world's database."""
    for path in world.root.glob("orchestrator.db*"):
        path.unlink()


CODE = """
import json, sys
from orchestrator import service
from orchestrator.tracking import gather
from orchestrator.records.layout import Layout
from orchestrator.store.database import Store

def peak_mb():
    (line,) = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024 / 1e6

layout, looks, send_s = Layout.of(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
with Store.open(layout.database_url) as store:
    for _ in range(looks):
        service.observe(layout, store)
    reconciler = peak_mb()
    sent = gather.sync(layout, store, limit_s=send_s)
print(json.dumps({"reconciler": reconciler, "gatherer": peak_mb(), "sent": sent.trials}))
"""


def memory(bench: Bench) -> list[Row]:
    """Peak resident memory of one process, before and after it has sent; MLflow's own store is in the same process."""
    world = bench.live
    told = json.loads(bench.answer_of(CODE, str(world.root), str(LOOKS), str(SEND_S)))
    trials = f"{len(world.sweep.cells):,} live trials"
    said = {
        "reconciler": f"reconciler, {trials}",
        "gatherer": f"and gatherer with MLflow's client and SQLite, {trials}",
    }
    return [Row.of([told[key]], part="memory", what=what, unit="MB", below=BELOW_MB) for key, what in said.items()]
