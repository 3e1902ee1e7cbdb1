"""Looking at a root: statuses once or again and again, and the logs of a trial."""

import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from rich.console import Group
from rich.live import Live
from rich.table import Table

from orchestrator import cluster, dependency, render, service
from orchestrator.census import read_status
from orchestrator.launch import FOREGROUND
from orchestrator.layout import Layout, TrialFolder
from orchestrator.lifecycle import State, TrialStatus
from orchestrator.links import links, served_at
from orchestrator.results import SweepResults, TrialResult
from orchestrator.store import Store

EVERY_S = 2.0
FOLLOW_S = 0.5
UNDER_WAY = frozenset({State.QUEUED, State.RUNNING, State.PREEMPTED, State.HELD})


def statuses(layout: Layout, name: str | None) -> list[SweepResults]:
    """The sweeps of that name or id (all of them where None), and trials that belong to no sweep, up to date.

    Raises:
        UnknownSweepError: there is no such sweep.
    """
    with service.observed(layout) as store:
        return read(layout, store, name)


def read(layout: Layout, store: Store, name: str | None) -> list[SweepResults]:
    """The same, from a store that is up to date."""
    records = store.sweep_records(name) if name else store.sweep_records()
    if name and not records:
        return [service.find_sweep(layout, store, name)]
    found = [store.results_of(record) for record in records]
    single = [] if name else [store.single_trials()]
    return found + [results for results in single if results.trials]


def watch(layout: Layout, name: str | None) -> None:
    """Shows the tables again and again until everything has ended or Ctrl-C."""
    with Live(console=render.out(), auto_refresh=False) as live:
        while True:
            found = statuses(layout, name)
            live.update(Group(*tables(layout, found)), refresh=True)
            if not any(is_under_way(results) for results in found):
                return
            time.sleep(EVERY_S)


def addresses(layout: Layout, found: Iterable[SweepResults]) -> list[str]:
    """Where these sweeps are to be seen in a browser; empty where `iwm serve` does not run."""
    if not served_at(layout):
        return []
    with Store.open(layout.database_url) as store:
        experiment = store.experiment_id()
    known = [links(layout, one.record, experiment_id=experiment) for one in found if one.record.axes or one.record.t]
    return [line for one in known for line in (f"page  {one.page}", f"runs  {one.view}")]


def tables(layout: Layout, found: Iterable[SweepResults]) -> list[Table]:
    """One table per sweep, with SLURM's own word and what waits for what among the notes."""
    seen = cluster.seen(layout)
    return [
        render.status_table(results, seen=seen, waits=dependency.remarks(layout, _by_id(results))) for results in found
    ]


def _by_id(results: SweepResults) -> dict[str, TrialStatus]:
    """The trials that may be waiting for another, and those they may wait for; the rest is not parsed."""
    queued = {trial.id: trial.status for trial in results.trials if trial.state is State.QUEUED}
    behind = {status.after for status in queued.values()}
    return queued | {trial.id: trial.status for trial in results.trials if trial.id in behind}


def is_under_way(results: SweepResults) -> bool:
    """Whether anything may still change by itself."""
    return any(trial.state in UNDER_WAY and not _waits_for_a_person(trial) for trial in results.trials)


def _waits_for_a_person(trial: TrialResult) -> bool:
    """`iwm train` was stopped: only `iwm train` or `iwm resume` goes on with it."""
    return trial.state is State.PREEMPTED and trial.status.launcher == FOREGROUND


def print_logs(folder: TrialFolder, *, follow: bool) -> None:
    """Every attempt's standard output and error, oldest first; with `follow` until the trial ends."""
    for text in log_text(folder, follow=follow):
        sys.stdout.write(text)
        sys.stdout.flush()


def log_text(folder: TrialFolder, *, follow: bool) -> Iterator[str]:
    """New text of the trial's logs, as it comes."""
    read_to: dict[Path, int] = {}
    while True:
        under_way = read_status(folder).state in (State.QUEUED, State.RUNNING, State.PREEMPTED)
        for path in log_files(folder):
            yield from _news(path, read_to)
        if not (follow and under_way):
            return
        time.sleep(FOLLOW_S)


def log_files(folder: TrialFolder) -> list[Path]:
    """The logs, oldest first."""
    found = [path for kind in ("*.out", "*.err") for path in folder.logs.glob(kind)]
    return sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name))


def _news(path: Path, read_to: dict[Path, int]) -> Iterator[str]:
    with path.open("rb") as file:
        file.seek(read_to.get(path, 0))
        text = file.read()
    if text and path not in read_to:
        yield f"==> {path.name} <==\n"
    if text:
        yield text.decode(errors="replace")
    read_to[path] = read_to.get(path, 0) + len(text)
