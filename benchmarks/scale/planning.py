"""Planning a sweep that nobody has submitted, and submitting one again that has not changed."""

import json
import sys

from benchmarks.scale.bench import Bench, Row, run
from benchmarks.scale.roots import World

PLAN_S = 10.0
RESUBMIT_S = 5.0


def plan(bench: Bench) -> list[Row]:
    """`iwm plan` on an empty root."""
    world = bench.mixed
    empty = World(bench.folder / "empty", world.sweep, world.words)
    took = bench.time_iwm("plan", *world.words, world=empty)
    return [Row.of_times(took, part="plan", what=f"iwm plan, {len(world.sweep.cells):,} trials", below=PLAN_S)]


def resubmit(bench: Bench) -> list[Row]:
    """`iwm submit` of a sweep all of whose trials are finished, under way or cancelled, at two sizes."""
    return [_resubmit(bench, world=bench.small), _resubmit(bench, world=bench.mixed)]


def _resubmit(bench: Bench, *, world: World) -> Row:
    bench.time_iwm("status", world=world, runs=1)
    took = bench.time_iwm("submit", *world.words, world=world)
    command = [sys.executable, "-m", "orchestrator.cli", "submit", *world.words, "--root", str(world.root), "--json"]
    jobs = json.loads(run(command))["jobs"]
    what = f"iwm submit again, {len(world.sweep.cells):,} trials, {len(jobs)} jobs started"
    return Row.of_times(took, part="resubmit", what=what, below=RESUBMIT_S)
