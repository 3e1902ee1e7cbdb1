"""`iwm status` as a person calls it: a whole process, from the start of Python to the last row."""

from benchmarks.scale.bench import Bench, Row
from benchmarks.scale.roots import World

STATUS_S = 1.0


def status(bench: Bench) -> list[Row]:
    """The second look and later ones: nothing has changed on disk. Most trials are at their end, or none is."""
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
