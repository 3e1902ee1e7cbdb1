"""The terminal: standard output and error, and the format of words and numbers in tables."""

import json
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from orchestrator.trial.sweep import Scalar

COLOURS = {
    "finished": "green",
    "reuse": "green",
    "running": "cyan",
    "submit": "cyan",
    "resume": "cyan",
    "preempted": "yellow",
    "queued": "dim",
    "skip": "dim",
    "planned": "dim",
    "held": "magenta",
    "cancelled": "magenta",
    "failed": "red",
}


def out() -> Console:
    """Standard output, for tables; 160 columns wide if it is not a terminal."""
    return Console(width=None if sys.stdout.isatty() else 160, highlight=False)


def err() -> Console:
    """Standard error, for progress and remarks."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def program(name: str) -> str:
    """A command that was installed with this program: its name if it is on the PATH, else its path."""
    return name if shutil.which(name) else str(Path(sys.executable).with_name(name))


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(json.dumps(value, allow_nan=False, default=str) + "\n")


def counts_line(counts: Mapping[str, int]) -> str:
    """`8 submit, 4 reuse`."""
    return ", ".join(f"{number} {name}" for name, number in counts.items() if number) or "nothing"


def table(
    title: str, headings: Iterable[str], rows: Iterable[Iterable[RenderableType]] = (), *, right: Iterable[str] = ()
) -> Table:
    """A borderless table with its title at the left; the columns of these headings are aligned right."""
    made, right = Table(title=title, title_justify="left", box=None, pad_edge=False), set(right)
    for heading in headings:
        made.add_column(heading, overflow="fold", justify="right" if heading in right else "left")
    for row in rows:
        made.add_row(*row)
    return made


def coloured(word: str) -> Text:
    """A state or an action in its colour."""
    return Text(word, style=COLOURS.get(word, ""))


def show(value: Scalar) -> str:
    """A value in a table: floats with four digits, empty for None."""
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
