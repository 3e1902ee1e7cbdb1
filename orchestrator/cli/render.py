"""Values to terminal tables and to the JSON that scripts read. Nothing is computed here."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from orchestrator.host import console, provenance
from orchestrator.planning.plan import Plan
from orchestrator.trial.lifecycle import State
from orchestrator.trial.results import SweepResults, TrialResult

Seen = Mapping[str, Mapping[str, str]]
"""What SLURM last said of the jobs of live trials: `state`, `reason`, `node`, by trial id."""
NOTHING_SEEN: Seen = {}
NO_WORD: Mapping[str, str] = {}
Waits = Mapping[str, str]
"""What trials without a job wait for, by trial id."""
NOBODY_WAITS: Waits = {}
SHOWN_METRICS = {"mrr": "MRR", "linear_probe_top1": "probe", "loss": "loss"}


def plan_table(plan: Plan, *, limit: int = 60) -> Table:
    """One row per trial, the first `limit` of them."""
    table = Table(title=f"{plan.sweep.name}: {len(plan.trials)} trials", title_justify="left", box=None, pad_edge=False)
    for heading in ("trial", *plan.sweep.axes, "action"):
        table.add_column(heading, overflow="fold")
    for item in plan.trials[:limit]:
        values = [console.show(item.cell.overrides.get(axis)) for axis in plan.sweep.axes]
        table.add_row(item.cell.trial.id[:8], *values, console.coloured(item.action.value))
    if len(plan.trials) > limit:
        table.add_row(f"... {len(plan.trials) - limit} more", *[""] * (len(plan.sweep.axes) + 1))
    return table


def names_table(names: Mapping[str, str]) -> Table:
    """A name and its description a row."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for name, description in names.items():
        table.add_row(name, Text(description))
    return table


FIRST_SHOWN = ("failed", "held", "preempted", "running", "queued", "cancelled", "planned", "finished")
"""Whose rows stay where there are too many: what a person may have to act on."""
MANY = 200


def headline(results: SweepResults) -> str:
    """`first-0a1b2c3d  8 finished, 4 running`."""
    return f"{results.record.id}  {console.counts_line(state_counts(results))}"


def status_table(
    results: SweepResults, *, seen: Seen = NOTHING_SEEN, waits: Waits = NOBODY_WAITS, many: int = MANY, limit: int = 60
) -> Table:
    """One row per trial: its axes, state, progress, attempts and headline metrics; SLURM's own word among the notes.

    Of more than `many` trials `limit` are shown: those that a person may have to act on, in the order of the sweep.
    """
    axes = results.record.axes
    table = Table(title=headline(results), title_justify="left", box=None)
    for heading in ("trial", *axes, "state", "step", "attempts", *SHOWN_METRICS.values(), "note"):
        table.add_column(heading, overflow="fold", justify="right" if heading in ("step", "attempts") else "left")
    by_need = sorted(results.trials, key=lambda trial: FIRST_SHOWN.index(trial.state.value))
    shown = {trial.id for trial in (by_need[:limit] if len(by_need) > many else by_need)}
    for trial in (trial for trial in results.trials if trial.id in shown):
        remarks = note(trial, slurm=seen.get(trial.id, {}), waits=waits.get(trial.id, ""))
        table.add_row(*_status_row(trial, axes=axes), remarks)
    if rest := len(results.trials) - len(shown):
        table.caption, table.caption_justify = f"... {rest} more; all of them: iwm status --json", "left"
    return table


def _status_row(trial: TrialResult, *, axes: Sequence[str]) -> list[str | Text]:
    status = trial.status
    metrics = [console.show(status.metrics.get(key)) for key in SHOWN_METRICS]
    step = f"{status.step}/{status.total_steps or trial.config['train.steps']}"
    attempts = str(len(status.attempts)) if status.attempts else ""
    values = [console.show(trial.overrides.get(axis)) for axis in axes]
    return [trial.id[:8], *values, console.coloured(status.state.value), step, attempts, *metrics]


def note(trial: TrialResult, *, slurm: Mapping[str, str] = NO_WORD, waits: str = "") -> str:
    """What a reader must know before trusting the row."""
    status = trial.status
    notes = [slurm_word(slurm)] if slurm and status.state in WAITING else []
    if waits:
        notes.append(waits)
    if status.state is State.FAILED:
        notes.append(status.error)
    if status.state is State.PREEMPTED and status.error:
        notes.append(f"goes on after: {status.error}")
    if status.state is State.HELD:
        notes.append(f"held {status.held_by}; iwm release {trial.id[:8]}")
    elsewhere = status.launcher in HERE and status.claim_host not in ("", provenance.host())
    if status.state in (State.QUEUED, State.RUNNING) and elsewhere:
        notes.append(f"on {status.claim_host}; if that machine is gone: iwm cancel {trial.id[:8]}, then iwm resume")
    if status.drifted:
        notes.append(f"drifted: {', '.join(status.drifted)}")
    elif not status.fingerprints_agree:
        notes.append("resumed on other hardware: equal to tolerance only")
    if not status.codes_agree:
        notes.append("attempts ran different code")
    if status.attempts and status.attempts[-1].skipped:
        notes.append("; ".join(status.attempts[-1].skipped))
    if status.metrics.get("collapse_alarm"):
        notes.append("collapsed")
    if status.state is State.RUNNING and status.metrics.get("starving_alarm"):
        notes.append("training waits for data: try more resources.loader_workers")
    return "; ".join(notes)


WAITING = (State.QUEUED, State.RUNNING, State.PREEMPTED, State.HELD)
HERE = ("local", "foreground")


def slurm_word(slurm: Mapping[str, str]) -> str:
    """`SLURM: PENDING (Resources)`, `SLURM: RUNNING on n1`."""
    where = f" on {slurm['node']}" if slurm.get("node") else ""
    why = f" ({slurm['reason']})" if slurm.get("reason") else ""
    return f"SLURM: {slurm['state']}{where}{why}"


def status_json(sweeps: Sequence[SweepResults], *, seen: Seen = NOTHING_SEEN) -> dict[str, Any]:
    """The JSON of `iwm status --json`."""
    return {"sweeps": [_sweep_json(results, seen=seen) for results in sweeps]}


def _sweep_json(results: SweepResults, *, seen: Seen) -> dict[str, Any]:
    return {
        "id": results.record.id,
        "name": results.record.name,
        "counts": state_counts(results),
        "trials": [_trial_json(trial, slurm=seen.get(trial.id, {})) for trial in results.trials],
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
        "metrics": {key: _finite(value) for key, value in status.metrics.items()},
        "weights_sha256": status.weights_sha256 or None,
        "error": status.error or None,
        "preemptions": status.preemptions,
        "repeated_steps": status.repeated_steps,
    }


def _finite(value: float) -> float | str:
    """JSON has no NaN and no infinity."""
    return value if abs(value) < float("inf") else str(value)


def state_counts(results: SweepResults) -> dict[str, int]:
    """Trials per state that occurs, in the order of a trial's life."""
    counted = Counter(trial.state for trial in results.trials)
    return {state.value: counted[state] for state in State if counted[state]}
