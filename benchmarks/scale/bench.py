"""What every part uses: real processes, timed or weighed, and rows of a table."""

import datetime
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from benchmarks.scale.roots import LIVE, MIXED, World, make_world

TREE = Path(__file__).parents[2]
"""The checkout that is measured."""


@dataclass(frozen=True)
class Took:
    """One run of a command: by the clock on the wall, and of the processor, both in seconds.

    A machine that others use, too, is slow by the wall; the processor's time says what it would be alone.
    """

    wall_s: float
    cpu_s: float


@dataclass(frozen=True, kw_only=True)
class Row:
    """One figure: the median of `runs`, and the extremes. `below` or `at_least` is the target, in the same unit."""

    part: str
    what: str
    unit: str
    median: float
    least: float
    most: float
    runs: int
    below: float | None = None
    at_least: float | None = None
    cpu_s: float | None = None
    """Median time of the processor for one of the runs."""

    @classmethod
    def of_times(cls, took: Sequence[Took], *, part: str, what: str, below: float | None = None) -> "Row":
        """The row of these runs."""
        row = cls.of([run.wall_s for run in took], part=part, what=what, unit="s", below=below)
        return replace(row, cpu_s=round(statistics.median(run.cpu_s for run in took), 2))

    @classmethod
    def of(cls, values: Sequence[float], *, part: str, what: str, unit: str, below: float | None = None) -> "Row":
        """The row of these measurements."""
        digits = 2 if unit == "s" else 0
        median, least, most = (round(kind(values), digits) for kind in (statistics.median, min, max))
        return cls(
            part=part, what=what, unit=unit, median=median, least=least, most=most, runs=len(values), below=below
        )


@dataclass
class Bench:
    """A folder to work in, and how much is asked for. Worlds are made when a part first wants them."""

    folder: Path
    trials: int = 10_000
    runs: int = 5

    @cached_property
    def mixed(self) -> World:
        """Trials of a sweep at every point of their life; nothing in it needs a restart."""
        return make_world(self.folder / "mixed", trials=self.trials, mix=MIXED)

    @cached_property
    def small(self) -> World:
        """The same, a tenth of it."""
        return make_world(self.folder / "small", trials=self.trials // 10, mix=MIXED)

    @cached_property
    def live(self) -> World:
        """Every trial is running."""
        return make_world(self.folder / "live", trials=self.trials, mix=LIVE)

    def time_iwm(self, *words: str, world: World, runs: int | None = None) -> list[Took]:
        """From the start of `iwm ...` to its end, run by run."""
        command = [sys.executable, "-m", "orchestrator.cli", *words, "--root", str(world.root)]
        return [_timed(command) for _ in range(runs or self.runs)]

    def answer_of(self, code: str, *arguments: str) -> str:
        """What a fresh Python prints that runs this code."""
        return run([sys.executable, "-c", code, *arguments])


def run(command: Sequence[str]) -> str:
    """Standard output of a command, run in the checkout that is measured.

    Raises:
        CalledProcessError: it failed; its own message is on standard error.
    """
    done = subprocess.run(
        command, cwd=TREE, env=_environment(os.environ), stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


def _timed(command: Sequence[str]) -> Took:
    began, before = time.perf_counter(), os.times()
    run(command)
    after = os.times()
    cpu_s = after.children_user + after.children_system - before.children_user - before.children_system
    return Took(time.perf_counter() - began, cpu_s)


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Nothing of the user's that would lead to another root or database."""
    ours = {key: value for key, value in environ.items() if not key.startswith(("IWM_", "MLFLOW_"))}
    return {**ours, "PYTHONPATH": str(TREE)}


def process_cpu_s(pid: int) -> float:
    """Processor seconds of a process and its descendants that live."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return own + sum(process_cpu_s(int(child)) for child in children)


def conditions() -> dict[str, str]:
    """Hardware, versions, load, date."""
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return {
        "processor": f"{os.cpu_count()} x {_processor()}",
        "memory": f"{memory_gb:.0f} GB",
        "python": platform.python_version(),
        "load": f"{os.getloadavg()[0]:.1f}",
        "date": datetime.date.today().isoformat(),
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")  # of Linux
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(": ", 1)[1] for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def table(rows: Sequence[Row]) -> str:
    """Markdown."""
    lines = ["| what | median | least to most | processor | target |", "|---|---|---|---|---|"]
    lines += [
        f"| {row.what} | {row.median:g} {row.unit} | {row.least:g} to {row.most:g}, {row.runs} runs "
        f"| {'' if row.cpu_s is None else f'{row.cpu_s:g} s'} | {_target(row)} |"
        for row in rows
    ]
    return "\n".join([*lines, "", ", ".join(f"{key} {value}" for key, value in conditions().items())])


def _target(row: Row) -> str:
    if row.below is not None:
        return f"under {row.below:g} {row.unit}: {'held' if row.median < row.below else 'missed'}"
    if row.at_least is not None:
        return f"at least {row.at_least:g} {row.unit}: {'held' if row.median >= row.at_least else 'missed'}"
    return ""
