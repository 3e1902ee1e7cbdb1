"""How the orchestrator bears sweeps of ten thousand trials: seconds and megabytes of real processes.

    python benchmarks/orchestrator.py [--json] [--parts plan,status] [--trials 10000] [--runs 5]

Trials are made without training, under a temporary folder that is deleted at the end. Each part is a function of
`benchmarks/scale`; the table below names them.
"""

import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # before this folder, whose orchestrator.py is this file

from benchmarks.scale import command
from benchmarks.scale.bench import Bench, Row
from benchmarks.scale.queueing import compare, look, submit
from benchmarks.scale.verbs import first_refresh, memory, plan, resubmit, status

PARTS: dict[str, Callable[[Bench], list[Row]]] = {
    "plan": plan,
    "first": first_refresh,
    "status": status,
    "resubmit": resubmit,
    "memory": memory,
    "submit": submit,
    "look": look,
    "compare": compare,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures the parts that were asked for and prints a table, or one JSON document."""
    parser = command.parser(__doc__)
    parser.add_argument("--trials", type=int, default=10_000, help="trials of the sweep")
    parser.add_argument("--runs", type=int, default=5, help="measurements per figure")
    options = command.chosen(parser, PARTS, arguments)
    with tempfile.TemporaryDirectory(prefix="iwm-bench-") as folder:
        bench = Bench(Path(folder), trials=options.trials, runs=options.runs)
        rows = [row for part in options.parts for row in PARTS[part](bench)]
    command.show(rows, as_json=options.json)


if __name__ == "__main__":
    main()
