"""How the pages beside the MLflow UI bear ten thousand trials: seconds until they are sent, and until they are painted.

    python benchmarks/pages.py [--json] [--trials 10000] [--runs 5] [--root ROOT]

Two sweeps are made without training: one of few cells with many seeds, one of many cells (`benchmarks/scale/roots.py`).
`--root` measures the largest sweep of a root that is there already. Chromium, where it and Playwright are installed,
says when it has painted first.
"""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.scale import command
from benchmarks.scale.bench import Row
from benchmarks.scale.browsing import ask, paint, program
from benchmarks.scale.roots import FEW_CELLS, MANY_CELLS, MIXED, make_world
from orchestrator.records.layout import Layout
from orchestrator.serving.command import choose
from orchestrator.store.database import Store
from orchestrator.store.refresh import refresh

SHAPES = {"few cells": FEW_CELLS, "many cells": MANY_CELLS}


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a table, or one JSON document."""
    parser = command.parser(__doc__)
    parser.add_argument("--trials", type=int, default=10_000, help="trials of each sweep")
    parser.add_argument("--runs", type=int, default=5, help="measurements per figure")
    parser.add_argument("--root", type=Path, help="a root that is there already")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="iwm-bench-") as folder:
        roots = {"this root": options.root} if options.root else made(Path(folder), trials=options.trials)
        rows = [row for name, root in roots.items() for row in measure(root, name=name, runs=options.runs)]
    command.show(rows, as_json=options.json)


def made(folder: Path, *, trials: int) -> dict[str, Path]:
    """A root of each shape, looked at once, so that the database is there."""
    roots = {
        name: make_world(folder / name, trials=trials, mix=MIXED, shape=shape).root for name, shape in SHAPES.items()
    }
    for root in roots.values():
        layout = Layout.of(root, environ={})
        with Store.open(layout.database_url) as store:
            refresh(layout, store)
    return roots


def measure(root: Path, *, name: str, runs: int) -> list[Row]:
    """Both parts; the second is left out where there is no browser."""
    rows = ask(root, name=name, runs=runs, port=choose("127.0.0.1", port=0).port)
    return [*rows, *(paint(root, name=name, runs=runs, port=choose("127.0.0.1", port=0).port) if program() else [])]


if __name__ == "__main__":
    main()
