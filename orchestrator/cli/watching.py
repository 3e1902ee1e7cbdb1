"""Show the state of a root's sweeps: once (`iwm status`), or until they end (`iwm status --watch`).

`--watch` redraws a table on a terminal, with as many rows as fit, and prints plain lines elsewhere. It parses only
trials whose files have changed.
"""

import contextlib
import time
from collections.abc import Iterable, Iterator, Sequence

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
from orchestrator.trial.results import SweepResults

EVERY_S = 2.0
RECONCILE_S = 10.0
"""Seconds between looks at jobs and workers; files are read at every look."""
SHARE = 4
"""A pause lasts at least this many times as long as the look before it."""
FIRST = ("running", "preempted", "failed", "held", "queued", "cancelled", "planned", "finished")
"""States in the order in which a board with too little room keeps their rows."""
ROWS_MIN = 3
FRAME = 4
"""Lines of a sweep that are not rows: title, headings, number of hidden trials, ETA."""
SCORES = ("mrr", "online_mrr")
CAN_WAIT = frozenset({State.QUEUED, State.RUNNING, State.PREEMPTED, State.HELD})
"""States of trials whose job SLURM knows."""


def read(layout: Layout, store: Store, name: str | None) -> list[SweepResults]:
    """The sweeps of that name or id; None: all of them, and the trials that belong to no sweep.

    Raises:
        UnknownSweepError: there is no such sweep.
    """
    records = store.sweep_records(name)
    if name is not None:
        return [store.results_of(record) for record in records] or [service.find_sweep(layout, store, name)]
    single = store.single_trials()
    return [*(store.results_of(record) for record in records), *([single] if single.trials else [])]


def addresses(layout: Layout, store: Store, found: Iterable[SweepResults]) -> list[str]:
    """The web addresses of these sweeps; empty unless `iwm serve` runs."""
    if not served_at(layout):
        return []
    experiment = store.experiment_id()
    known = [links(layout, one.record, experiment_id=experiment) for one in found if one.record.axes or one.record.t]
    return [line for one in known for line in (f"page  {one.page}", f"runs  {one.view}")]


def tables(layout: Layout, found: Iterable[SweepResults]) -> list[Table]:
    """One table per sweep."""
    return [render.status_table(results, notes=notes(layout, results)) for results in found]


def notes(layout: Layout, results: SweepResults) -> dict[str, list[str]]:
    """Trial id -> the state of its job in SLURM, and the trial it waits for; trials without either are absent."""
    seen, states = slurm_seen.read(layout), {trial.id: trial.state for trial in results.trials}
    found = {key: [render.slurm_note(seen[key])] for key in seen if states.get(key) in CAN_WAIT}
    queued = {trial.id: trial.status for trial in results.trials if trial.state is State.QUEUED}
    parents = {status.after for status in queued.values()}  # the status of other trials is never parsed
    known = queued | {trial.id: trial.status for trial in results.trials if trial.id in parents}
    for key, remark in dependency.remarks(layout, known).items():
        found.setdefault(key, []).append(remark)
    return found


def is_under_way(results: SweepResults) -> bool:
    """Return True if a trial may still change without a person's help."""
    return any(trial.state in UNDER_WAY and goes_on(trial.status) for trial in results.trials)


def watch(layout: Layout, name: str | None, *, console: Console) -> None:
    """Show these sweeps (None: all) until none of their trials is under way, or Ctrl-C.

    Raises:
        UnknownSweepError: there is no such sweep.
    """
    with contextlib.ExitStack() as opened, contextlib.suppress(KeyboardInterrupt):
        with progress.shown():  # the first look reads everything; the board is not drawn yet
            store = opened.enter_context(service.observed(layout))
        looks = _looks(layout, store, name)
        if not console.is_terminal:
            return _print_changes(layout, looks, console=console)
        with Live(console=console, auto_refresh=False) as live:
            for found in looks:
                live.update(board(layout, found, height=console.height), refresh=True)


def _print_changes(layout: Layout, looks: Iterator[list[SweepResults]], *, console: Console) -> None:
    """One line whenever the counts of a sweep have changed, and the tables at the end."""
    printed: dict[str, str] = {}
    found: list[SweepResults] = []
    for found in looks:
        for results in found:
            line = render.headline(results)
            if printed.get(results.record.id) != line:
                console.print(f"{time.strftime('%H:%M:%S')}  {line}", soft_wrap=True)
                printed[results.record.id] = line
    for table in tables(layout, found):
        console.print(table)


def _looks(layout: Layout, store: Store, name: str | None) -> Iterator[list[SweepResults]]:
    """Yield the sweeps repeatedly until none of their trials is under way."""
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
    """The same sweeps now; only trials that have changed are parsed, or all of them if there are new sweeps."""
    sweeps = {results.record.id for results in before if results.record.id != SINGLE.id}
    if name is None and store.sweep_ids() != sweeps:
        return read(layout, store, name)
    return [
        store.single_trials() if results.record.id == SINGLE.id else store.results_of(results.record, before=results)
        for results in before
    ]


def board(layout: Layout, found: Sequence[SweepResults], *, height: int) -> RenderableType:
    """A table for each sweep under way, in at most `height` lines together, and a line for each that has ended."""
    moving = [results for results in found if is_under_way(results)]
    shown = moving or list(found)[-1:]
    ended = [Text(render.headline(results), style="dim") for results in found if results not in shown][-ROWS_MIN:]
    rows = max(ROWS_MIN, (height - len(ended) - 1) // max(1, len(shown)) - FRAME)
    return Group(*ended, *(sweep_board(results, notes=notes(layout, results), rows=rows) for results in shown))


def sweep_board(results: SweepResults, *, notes: render.Notes, rows: int) -> RenderableType:
    """At most `rows` trials of a sweep; below them the number of hidden trials, and the ETA."""
    axes = results.record.axes
    table = Table(title=render.headline(results), title_justify="left", box=None, pad_edge=False)
    for heading in ("trial", *axes, "state", "step", "rate", "left", "MRR"):
        right = heading in ("step", "rate", "left")
        table.add_column(heading, no_wrap=True, overflow="ellipsis", justify="right" if right else "left")
    table.add_column("note")  # the only column that shrinks on a narrow terminal
    for trial in render.foremost(results, rows, order=FIRST):
        status = trial.status
        score = next((status.metrics[key] for key in SCORES if key in status.metrics), None)
        pace = _pace(status, status.total_steps or trial.config["train.steps"])
        remarks = Text(render.note(trial, notes.get(trial.id, ())), no_wrap=True, overflow="ellipsis")
        table.add_row(*render.first_cells(trial, axes=axes), *pace, console.show(score), remarks)
    left, hidden = outlook(results), len(results.trials) - rows
    below = [f"... {hidden} more, not shown; list all: iwm status --json"] if hidden > 0 else []
    if left.eta_s and left.eta_s >= 1:
        without = ", without evaluation" if left.restless else ""
        below.append(f"{left.trials} left: ETA in {duration(left.eta_s)}, {left.places} at a time{without}")
    return Group(table, *(Text(line, style="dim") for line in below))


def _pace(status: TrialStatus, total: int) -> tuple[str, str]:
    """A running trial's speed and the time that its remaining steps take; empty for other trials."""
    pace = speed(status) if status.state is State.RUNNING else None
    if pace is None:
        return "", ""
    rate = f"{1 / pace:.3g}/s" if pace < 1 else f"{pace:.3g} s each"
    return rate, duration((total - status.step) * pace) if status.step < total else "evaluates"
