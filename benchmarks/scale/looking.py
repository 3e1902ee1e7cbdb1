"""`iwm status` as a person calls it: a whole process, from the start of Python to the last row."""

from benchmarks.scale.bench import Bench, Row
from benchmarks.scale.roots import World

STATUS_S = 1.0


def status(bench: Bench) -> list[Row]:
    """The second look and later ones: nothing has changed on disk."""
    world = bench.mixed
    bench.time_iwm("status", world=world, runs=1)
    rows = []
    for words, below in (((), STATUS_S), (("--json",), None)):
        took = bench.time_iwm("status", *words, world=world)
        what = " ".join(("iwm status", *words)) + f", {len(world.sweep.cells):,} trials"
        rows.append(Row.of_times(took, part="status", what=what, below=below))
    return rows


def first_refresh(bench: Bench) -> list[Row]:
    """The first look at a root: every file is read, the database made."""
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
