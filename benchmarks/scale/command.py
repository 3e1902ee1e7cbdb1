"""What the benchmarks of this folder are told on the command line, and what they print."""

import argparse
import json
from collections.abc import Collection, Sequence
from dataclasses import asdict

from benchmarks.scale.bench import Row, conditions, table


def parser(about: str | None) -> argparse.ArgumentParser:
    """Of a benchmark whose module says this of itself."""
    found = argparse.ArgumentParser(description=(about or "").partition("\n")[0])
    found.add_argument("--json", action="store_true", help="print one JSON document")
    return found


def chosen(
    found: argparse.ArgumentParser, parts: Collection[str], arguments: Sequence[str] | None
) -> argparse.Namespace:
    """The options, whose `parts` are some of these; the program ends where one is unknown."""
    found.add_argument("--parts", default=",".join(parts), help=f"of {', '.join(parts)}")
    options = found.parse_args(arguments)
    options.parts = options.parts.split(",")
    if unknown := [part for part in options.parts if part not in parts]:
        found.error(f"unknown part '{unknown[0]}'; choose from {', '.join(parts)}")
    return options


def show(rows: Sequence[Row], *, as_json: bool) -> None:
    """A table, or one JSON document."""
    print(json.dumps({"rows": [asdict(row) for row in rows], **conditions()}, indent=2) if as_json else table(rows))
