"""Values to terminal tables and to the JSON that scripts read. Nothing is computed here."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from orchestrator.host import console, provenance
from orchestrator.planning.plan import Plan
from orchestrator.records.slurm_seen import Seen
from orchestrator.trial.launchers import FOREGROUND, LOCAL
from orchestrator.trial.lifecycle import State
from orchestrator.trial.results import SweepResults, TrialResult

Notes = Mapping[str, Sequence[str]]
"""Trial id -> the state of its job in SLURM, and the trial it waits for."""
NOTHING: Mapping[str, Any] = {}
SHOWN_METRICS = {"mrr": "MRR", "linear_probe_top1": "probe", "loss": "loss"}
FIRST_SHOWN = ("failed", "held", "preempted", "running", "queued", "cancelled", "planned", "finished")
"""States in the order in which a long table keeps their rows: trials that may need a person come first."""
MANY = 200


def plan_table(plan: Plan, *, limit: int = 60) -> Table:
    """One row per trial, for the first `limit` trials."""
    axes = plan.sweep.axes
    table = console.table(f"{plan.sweep.name}: {len(plan.trials)} trials", ("trial", *axes, "action"))
    for item in plan.trials[:limit]:
        values = [console.show(item.cell.overrides.get(axis)) for axis in axes]
        table.add_row(item.cell.trial.id[:8], *values, console.coloured(item.action.value))
    if len(plan.trials) > limit:
        table.add_row(f"... {len(plan.trials) - limit} more")
    return table


def names_table(names: Mapping[str, str]) -> Table:
    """One row per name, with its description."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for name, description in names.items():
        table.add_row(name, Text(description))
    return table


def headline(results: SweepResults) -> str:
    """`first-0a1b2c3d  8 finished, 4 running`."""
    return f"{results.record.id}  {console.counts_line(state_counts(results))}"


def status_table(results: SweepResults, *, notes: Notes = NOTHING, many: int = MANY, limit: int = 60) -> Table:
    """One row per trial: its axes, state, progress, attempts, headline metrics and a note.

    A sweep of more than `many` trials shows `limit` of them, chosen by `FIRST_SHOWN`, in the order of the sweep.
    """
    axes = results.record.axes
    headings = ("trial", *axes, "state", "step", "attempts", *SHOWN_METRICS.values(), "note")
    table = console.table(headline(results), headings, right=("step", "attempts"))
    shown = foremost(results, limit if len(results.trials) > many else len(results.trials), order=FIRST_SHOWN)
    for trial in shown:
        metrics = [console.show(trial.status.metrics.get(key)) for key in SHOWN_METRICS]
        attempts = str(len(trial.status.attempts) or "")
        table.add_row(*first_cells(trial, axes=axes), attempts, *metrics, note(trial, notes.get(trial.id, ())))
    if rest := len(results.trials) - len(shown):
        table.caption, table.caption_justify = f"... {rest} more; list all: iwm status --json", "left"
    return table


def foremost(results: SweepResults, limit: int, *, order: Sequence[str]) -> list[TrialResult]:
    """At most `limit` trials in the order of the sweep; those whose state comes early in `order` are kept."""
    by_need = sorted(results.trials, key=lambda trial: order.index(trial.state.value))
    kept = {trial.id for trial in by_need[:limit]}
    return [trial for trial in results.trials if trial.id in kept]


def first_cells(trial: TrialResult, *, axes: Sequence[str]) -> list[str | Text]:
    """The cells that every table of trials begins with: id, axes, state and step."""
    status = trial.status
    step = f"{status.step}/{status.total_steps or trial.config['train.steps']}"
    values = [console.show(trial.overrides.get(axis)) for axis in axes]
    return [trial.id[:8], *values, console.coloured(status.state.value), step]


def note(trial: TrialResult, more: Sequence[str] = ()) -> str:
    """Caveats that a reader of the row must know; `more` comes first."""
    status = trial.status
    notes = list(more)
    if status.state is State.FAILED:
        notes.append(status.error)
    if status.state is State.PREEMPTED and status.error:
        notes.append(f"resumes after: {status.error}")
    if status.state is State.HELD:
        notes.append(f"held {status.held_by}; iwm release {trial.id[:8]}")
    elsewhere = status.launcher in (LOCAL, FOREGROUND) and status.claim_host not in ("", provenance.host())
    if status.state in (State.QUEUED, State.RUNNING) and elsewhere:
        notes.append(f"on {status.claim_host}; if that machine is gone: iwm cancel {trial.id[:8]}, then iwm resume")
    if status.drifted:
        notes.append(f"drifted: {', '.join(status.drifted)}")
    elif not status.fingerprints_agree:
        notes.append("resumed on different numerics: equal up to rounding only")
    if not status.codes_agree:
        notes.append("attempts ran different code")
    if status.attempts and status.attempts[-1].skipped:
        notes.append("; ".join(status.attempts[-1].skipped))
    if status.metrics.get("collapse_alarm"):
        notes.append("collapsed")
    if status.state is State.RUNNING and status.metrics.get("starving_alarm"):
        notes.append("training waits for data: try more resources.loader_workers")
    return "; ".join(notes)


def slurm_note(slurm: Mapping[str, str]) -> str:
    """`SLURM: PENDING (Resources)`, `SLURM: RUNNING on n1`."""
    where = f" on {slurm['node']}" if slurm.get("node") else ""
    why = f" ({slurm['reason']})" if slurm.get("reason") else ""
    return f"SLURM: {slurm['state']}{where}{why}"


def status_json(sweeps: Sequence[SweepResults], *, seen: Seen = NOTHING) -> dict[str, Any]:
    """The JSON of `iwm status --json`."""
    return {
        "sweeps": [
            {
                "id": results.record.id,
                "name": results.record.name,
                "counts": state_counts(results),
                "trials": [_trial_json(trial, slurm=seen.get(trial.id, {})) for trial in results.trials],
            }
            for results in sweeps
        ]
    }


def _trial_json(trial: TrialResult, *, slurm: Mapping[str, str]) -> dict[str, Any]:
    status = trial.status
    return {
        "id": trial.id,
        "overrides": dict(trial.overrides),
        "state": status.state.value,
        "step": status.step,
        "total_steps": status.total_steps or trial.config["train.steps"],
        "attempts": len(status.attempts),
        "job_id": status.job_id,
        "slurm_state": slurm.get("state"),
        "slurm_reason": slurm.get("reason") or None,
        "node": slurm.get("node") or None,
        "metrics": {
            key: value if abs(value) < float("inf") else str(value)  # JSON has no NaN and no infinity
            for key, value in status.metrics.items()
        },
        "weights_sha256": status.weights_sha256 or None,
        "error": status.error or None,
        "preemptions": status.preemptions,
        "repeated_steps": status.repeated_steps,
    }


def state_counts(results: SweepResults) -> dict[str, int]:
    """The number of trials in each state that occurs, in the order of a trial's life."""
    counted = Counter(trial.state for trial in results.trials)
    return {state.value: counted[state] for state in State if counted[state]}
