"""Looking at a root: where its sweeps stand."""

from collections.abc import Iterable

from rich.table import Table

from orchestrator import service
from orchestrator.cli import render
from orchestrator.cli.following import goes_on
from orchestrator.launching import dependency
from orchestrator.records import slurm_seen
from orchestrator.records.layout import Layout
from orchestrator.store.database import Store
from orchestrator.tracking.links import links, served_at
from orchestrator.trial.lifecycle import UNDER_WAY, State, TrialStatus
from orchestrator.trial.results import SweepResults


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
    return [render.status_table(results, seen=seen, waits=waits(layout, results)) for results in found]


def waits(layout: Layout, results: SweepResults) -> dict[str, str]:
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
