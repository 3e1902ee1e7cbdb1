"""Looking at a root: where its sweeps stand, once (`iwm status`) or again and again (`--watch`).

Again and again is a table that is drawn again on a terminal, plain lines elsewhere. Only trials whose files have
changed are read again, and rows are drawn for as many trials as there is room for.
"""

import contextlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from orchestrator import service
from orchestrator.cli import render
from orchestrator.cli.following import goes_on
from orchestrator.host import console, progress
from orchestrator.launching import dependency
from orchestrator.planning.forecast import duration, outlook, speed
from orchestrator.records import slurm_seen
from orchestrator.records.layout import Layout
from orchestrator.store.database import SINGLE, Store
from orchestrator.store.refresh import refresh
from orchestrator.tracking.links import links, served_at
from orchestrator.trial.lifecycle import UNDER_WAY, State, TrialStatus
from orchestrator.trial.results import SweepResults, TrialResult


def statuses(layout: Layout, name: str | None) -> list[SweepResults]:
    """The sweeps of that name or id (all of them where None), and trials that belong to no sweep, up to date.

    Raises:
        UnknownSweepError: there is no such sweep.
    """
    with service.observed(layout) as store:
        return read(layout, store, name)


def read(layout: Layout, store: Store, name: str | None) -> list[SweepResults]:
    """The same, from a store that is up to date."""
    records = store.sweep_records(name)
    if name is not None and not records:
        return [service.find_sweep(layout, store, name)]
    found = [store.results_of(record) for record in records]
    single = [] if name is not None else [store.single_trials()]
    return found + [results for results in single if results.trials]


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
    seen = slurm_seen.read(layout)
    return [render.status_table(results, seen=seen, waits=waits_of(layout, results)) for results in found]


def waits_of(layout: Layout, results: SweepResults) -> dict[str, str]:
    """What trials without a job wait for, by trial id."""
    return dependency.remarks(layout, _by_id(results))


def _by_id(results: SweepResults) -> dict[str, TrialStatus]:
    """The trials that may be waiting for another, and those they may wait for; the rest is not parsed."""
    queued = {trial.id: trial.status for trial in results.trials if trial.state is State.QUEUED}
    behind = {status.after for status in queued.values()}
    return queued | {trial.id: trial.status for trial in results.trials if trial.id in behind}


def is_under_way(results: SweepResults) -> bool:
    """Whether anything may still change by itself."""
    return any(trial.state in UNDER_WAY and goes_on(trial.status) for trial in results.trials)


EVERY_S = 2.0
RECONCILE_S = 10.0
"""How often jobs and workers are looked after; files are looked at every time."""
SHARE = 4
"""A pause lasts at least so many times as long as the look before it."""
FIRST = ("running", "preempted", "failed", "held", "queued", "cancelled", "planned", "finished")
"""Whose rows are drawn where there are too many."""
ROWS_MIN = 3
FRAME = 4
"""Lines of a sweep that are no rows: title, heading, what is not shown, what is left."""
SCORES = ("mrr", "online_mrr")


def watch(layout: Layout, name: str | None, *, console: Console) -> None:
    """Shows these sweeps (None: all) until nothing of them is under way, or Ctrl-C.

    Raises:
        UnknownSweepError: there is no such sweep.
    """
    with contextlib.ExitStack() as opened, contextlib.suppress(KeyboardInterrupt):
        with progress.shown():  # the first look reads all; nothing else draws yet
            store = opened.enter_context(service.observed(layout))
        if console.is_terminal:
            with Live(console=console, auto_refresh=False) as live:
                for found in _looks(layout, store, name):
                    live.update(board(layout, found, height=console.height), refresh=True)
        else:
            _tell(layout, _looks(layout, store, name), console=console)


def _tell(layout: Layout, looks: Iterator[list[SweepResults]], *, console: Console) -> None:
    """A line whenever a sweep's counts have changed, and the tables at the end."""
    told: dict[str, str] = {}
    found: list[SweepResults] = []
    for found in looks:
        for results in found:
            line = render.headline(results)
            if told.get(results.record.id) != line:
                console.print(f"{time.strftime('%H:%M:%S')}  {line}", soft_wrap=True)
                told[results.record.id] = line
    for table in tables(layout, found):
        console.print(table)


def _looks(layout: Layout, store: Store, name: str | None) -> Iterator[list[SweepResults]]:
    """The sweeps, again and again until nothing of them goes on."""
    found = read(layout, store, name)
    reconciled = time.monotonic()
    while True:
        yield found
        if not any(is_under_way(results) for results in found):
            return
        began = time.monotonic()
        if began - reconciled > RECONCILE_S:
            service.observe(layout, store)
            reconciled = began
        else:
            refresh(layout, store)
        found = again(layout, store, name, before=found)
        time.sleep(max(EVERY_S, SHARE * (time.monotonic() - began)))


def again(layout: Layout, store: Store, name: str | None, *, before: Sequence[SweepResults]) -> list[SweepResults]:
    """The same sweeps, of which only trials that have changed are parsed; all of them anew where there are others."""
    sweeps = {results.record.id for results in before if results.record.id != SINGLE.id}
    if name is None and store.sweep_ids() != sweeps:
        return read(layout, store, name)
    return [
        store.single_trials() if results.record.id == SINGLE.id else store.results_of(results.record, before=results)
        for results in before
    ]


def board(layout: Layout, found: Sequence[SweepResults], *, height: int) -> RenderableType:
    """A table for each sweep that goes on, as high as there is room for, and a line for each that has ended."""
    moving = [results for results in found if is_under_way(results)]
    shown = moving or list(found)[-1:]
    ended = [Text(render.headline(results), style="dim") for results in found if results not in shown]
    room = (height - len(ended[-ROWS_MIN:]) - 1) // max(1, len(shown)) - FRAME
    seen, rows = slurm_seen.read(layout), max(ROWS_MIN, room)
    waits = {key: text for results in shown for key, text in waits_of(layout, results).items()}
    tables = [sweep_board(results, seen=seen, waits=waits, rows=rows) for results in shown]
    return Group(*ended[-ROWS_MIN:], *tables)


def sweep_board(results: SweepResults, *, seen: render.Seen, waits: Mapping[str, str], rows: int) -> RenderableType:
    """The table of a sweep, and below it what is not shown and what is left."""
    below = _below(results, hidden=max(0, len(results.trials) - rows))
    return Group(live_table(results, seen=seen, waits=waits, rows=rows), *(Text(line, style="dim") for line in below))


def live_table(results: SweepResults, *, seen: render.Seen, waits: Mapping[str, str], rows: int) -> Table:
    """So many trials of a sweep, those that move before others, in the order of the sweep."""
    axes = results.record.axes
    table = Table(title=render.headline(results), title_justify="left", box=None, pad_edge=False)
    for heading in ("trial", *axes, "state", "step", "rate", "left", "MRR"):
        right = heading in ("step", "rate", "left")
        table.add_column(heading, no_wrap=True, overflow="ellipsis", justify="right" if right else "left")
    table.add_column("note")  # the one that gives way where there is too little room
    by_need = sorted(results.trials, key=lambda trial: FIRST.index(trial.state.value))
    shown = {trial.id for trial in by_need[:rows]}
    for trial in (trial for trial in results.trials if trial.id in shown):
        remarks = render.note(trial, slurm=seen.get(trial.id, {}), waits=waits.get(trial.id, ""))
        table.add_row(*_row(trial, axes=axes), Text(remarks, no_wrap=True, overflow="ellipsis"))
    return table


def _row(trial: TrialResult, *, axes: Sequence[str]) -> list[str | Text]:
    status = trial.status
    total = status.total_steps or trial.config["train.steps"]
    values = [console.show(trial.overrides.get(axis)) for axis in axes]
    score = next((status.metrics[key] for key in SCORES if key in status.metrics), None)
    state = console.coloured(status.state.value)
    return [trial.id[:8], *values, state, f"{status.step}/{total}", *_pace(status, total), console.show(score)]


def _pace(status: TrialStatus, total: int) -> tuple[str, str]:
    """How fast a trial is, and how long its steps will take; nothing of one that does not run."""
    pace = speed(status) if status.state is State.RUNNING else None
    if pace is None:
        return "", ""
    rate = f"{1 / pace:.3g}/s" if pace < 1 else f"{pace:.3g} s each"
    return rate, duration((total - status.step) * pace) if status.step < total else "evaluates"


def _below(results: SweepResults, *, hidden: int) -> list[str]:
    left = outlook(results)
    lines = [f"... {hidden} more, not shown; all of them: iwm status --json"] if hidden else []
    if left.eta_s and left.eta_s >= 1:
        without = ", evaluation apart" if left.restless else ""
        lines.append(f"{left.trials} left: ETA in {duration(left.eta_s)}, {left.places} at a time{without}")
    return lines
