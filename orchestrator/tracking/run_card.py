"""A trial as MLflow shows it: the name, parameters, tags and status of its run. Pure.

    running                      RUNNING          finished   FINISHED, at the journal's last time
    queued, preempted, held,     SCHEDULED        failed     FAILED
    planned                                       cancelled  KILLED

A trial has a run from its first attempt on. The run starts when that attempt did: MLflow cannot change a start time,
and the start in milliseconds also distinguishes the runs of two roots with the same trial.

Its description is Markdown: overrides, the command that repeats the trial, and its folder. It does not change while the
trial runs, so that it need not be sent again.
"""

import math
import posixpath
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.store.rows import Shipment
from orchestrator.trial.lifecycle import Point, State, TrialStatus
from orchestrator.trial.results import gpu_hours, identity
from orchestrator.trial.sweep import command

PASSING = frozenset({"slurm_state", "pending_reason"})
"""Tags that are emptied when they no longer apply; other empty tags are left out."""
NOTHING_SEEN: Mapping[str, str] = {}
TRIAL_TAG = "iwm.trial_id"
SWEEP_TAG = "iwm.sweep"
KEY_LENGTH = 250
PARAM_LENGTH = 6_000
TAG_LENGTH = 8_000
ENDED = frozenset({"FINISHED", "FAILED", "KILLED"})

STATUSES = {
    State.PLANNED: "SCHEDULED",
    State.QUEUED: "SCHEDULED",
    State.RUNNING: "RUNNING",
    State.PREEMPTED: "SCHEDULED",
    State.HELD: "SCHEDULED",
    State.FINISHED: "FINISHED",
    State.FAILED: "FAILED",
    State.CANCELLED: "KILLED",
}


@dataclass(frozen=True, kw_only=True)
class RunCard:
    """A run without its metrics. Times are unix milliseconds; `end_ms` is None until it has ended."""

    name: str
    status: str
    start_ms: int
    end_ms: int | None
    params: Mapping[str, str]
    tags: Mapping[str, str]


def run_card(shipment: Shipment, *, seen: Mapping[str, str] = NOTHING_SEEN, note: str = "") -> RunCard | None:
    """The card of a trial; None before its first attempt has started.

    `seen` is what SLURM last reported of its job (`state`, `reason`); `note` is the run's description.
    """
    status = shipment.status
    begun = [attempt for attempt in status.attempts if attempt.started_t]
    if not begun:
        return None
    mlflow_status = STATUSES[status.state]
    return RunCard(
        name=_name(shipment)[:KEY_LENGTH],
        status=mlflow_status,
        start_ms=milliseconds(begun[0].started_t),
        end_ms=milliseconds(status.attempts[-1].last_t) if mlflow_status in ENDED else None,
        params={safe_key(key): _text(value, PARAM_LENGTH) for key, value in shipment.config.items()},
        tags={safe_key(key): _text(value, TAG_LENGTH) for key, value in _tags(shipment, seen=seen, note=note).items()},
    )


def _text(value: object, most: int) -> str:
    """At most so many characters, without NUL, which PostgreSQL cannot store."""
    return str(value).replace("\0", "")[:most]


def milliseconds(t: float) -> int:
    """Unix seconds as unix milliseconds."""
    return round(t * 1000)


def safe_key(key: str) -> str:
    """The key with `_` for what MLflow rejects: all but letters, digits and `_-./ :`, and invalid paths."""
    plain = re.sub(r"[^\w.\-/ :]", "_", key)[:KEY_LENGTH]
    whole_path = posixpath.normpath(plain) == plain and not plain.startswith((".", "/"))
    return plain if whole_path else re.sub(r"^\.|/", "_", plain)


def sweep_tag(name: str) -> str:
    """The tag with the ids of the sweeps of this name."""
    return safe_key(f"{SWEEP_TAG}.{name}")


Row = tuple[str, int, int, str]


def row(point: Point) -> Row:
    """A point as MLflow identifies it: key, step, milliseconds and value (infinity becomes the largest number)."""
    return safe_key(point.key), point.step, milliseconds(point.t), spelled(point.value)


def spelled(value: float) -> str:
    """A metric's value as text, so that NaN equals NaN."""
    return repr(max(-_LARGEST, min(_LARGEST, float(value)))) if not math.isnan(value) else "nan"


_LARGEST = 1.7976931348623157e308


def _name(shipment: Shipment) -> str:
    """`conditioning=none depth=6`: its overrides in its oldest sweep, else its seed and id."""
    overrides = shipment.sweeps[0][1].overrides if shipment.sweeps else {}
    if not overrides:
        return f"seed={shipment.config.get('seed', 0)} {shipment.id[:8]}"
    short = Counter(key.rpartition(".")[2] for key in overrides)
    names = {key: key.rpartition(".")[2] for key in overrides}
    return " ".join(f"{names[key] if short[names[key]] == 1 else key}={value}" for key, value in overrides.items())


def _two_digits(value: float) -> float:
    """Enough to sort by, without a new tag for every log line."""
    return float(f"{value:.2g}")


def _tags(shipment: Shipment, *, seen: Mapping[str, str], note: str) -> dict[str, Any]:
    status = shipment.status
    newest, speed, hours = status.attempts[-1], status.metrics.get("images_per_s"), gpu_hours(status)
    tags: dict[str, Any] = {
        TRIAL_TAG: shipment.id,
        "state": status.state.value,
        "commit": newest.provenance.get("commit", ""),
        "host": newest.host,
        "job": status.job_id,
        "attempts": len(status.attempts),
        "preemptions": status.preemptions,
        "repeated_steps": status.repeated_steps,
        "gpu_hours": f"{_two_digits(hours) if status.state is State.RUNNING else hours:.4f}",
        "images_per_s": f"{_two_digits(speed):.0f}" if speed and math.isfinite(speed) else "",
        "slurm_state": seen.get("state", "") if STATUSES[status.state] not in ENDED else "",
        "pending_reason": seen.get("reason", "") if STATUSES[status.state] == "SCHEDULED" else "",
        "mlflow.note.content": note,
        "weights_sha256": status.weights_sha256,
        "identity": identity(status),
        "drifted": ", ".join(status.drifted),
        SWEEP_TAG: ", ".join(dict.fromkeys(sweep.name for sweep, _ in shipment.sweeps)),
    }
    for sweep, member in shipment.sweeps:
        tag = sweep_tag(sweep.name)
        tags[tag] = f"{tags[tag]} {sweep.id}" if tag in tags else sweep.id
        tags |= {f"axis.{key}": value for key, value in member.overrides.items()}
    return {key: value for key, value in tags.items() if value != "" or (key in PASSING and status.launcher == "slurm")}


def note(shipment: Shipment, *, folder: str, log: tuple[str, str] = ("", ""), pages: bool) -> str:
    """The description.

    `folder` is the trial's, `log` the newest log's name and last lines; `pages` adds a link to our pages.
    """
    status = shipment.status
    parts = [_state(status)]
    if pages:
        parts.append(f"[Curves, attempts and neighbours](/iwm/trials/{shipment.id})")
    for sweep, member in shipment.sweeps:
        settings = "\n".join(f"| `{_code(key)}` | `{_code(value)}` |" for key, value in member.overrides.items())
        table = f"\n\n| setting | value |\n|---|---|\n{settings}" if settings else ""
        parts.append(f"Sweep `{_code(sweep.id)}`{table}\n\n    {command(sweep, member.overrides)}")
    parts.append(f"Checkpoints: `{_code(folder)}/checkpoints`")
    if log[1] and status.state is not State.RUNNING:
        indented = "\n".join(f"    {line}" for line in log[1].splitlines())
        parts.append(f"End of `{_code(log[0])}`\n\n{indented}")
    return "\n\n".join(parts)


def _state(status: TrialStatus) -> str:
    told = status.total_steps and status.state is not State.RUNNING
    steps = f", step {status.step} of {status.total_steps}" if told else ""
    why = f": {_code(status.error)}" if status.error else ""
    return f"**{status.state.value}**{steps}{why}"


def _code(text: object) -> str:
    """The text on one line, without characters that end a span of code or a table cell."""
    return " ".join(str(text).split()).replace("`", "'").replace("|", "/")
