"""What MLflow is told of a trial: the name, parameters, tags and status of its one run. Pure.

    running                      RUNNING          finished   FINISHED, at the journal's last time
    queued, preempted, held,     SCHEDULED        failed     FAILED
    planned                                       cancelled  KILLED

A trial has a run from its first attempt on, and the run starts when that attempt did: MLflow never lets go of a start
time, and an attempt's start, in milliseconds, also tells the runs of two roots apart that hold the same trial.

Its description is Markdown: what made the trial, how to make it again, where it is. While a trial runs it stays as it
is: curves say more, and a hundred descriptions need not be sent again.
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
"""Tags that are emptied when there is nothing more to say; the others stay away until there is something."""
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
    """A run but for its metrics. Times are unix milliseconds; `end_ms` is None until it has ended."""

    name: str
    status: str
    start_ms: int
    end_ms: int | None
    params: Mapping[str, str]
    tags: Mapping[str, str]


def run_card(shipment: Shipment, *, seen: Mapping[str, str] = NOTHING_SEEN, note: str = "") -> RunCard | None:
    """The card of a trial; None before its first attempt has started.

    `seen` is what SLURM last said of its job (`state`, `reason`); `note` the run's description.
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
    """Without the one sign that PostgreSQL has no place for."""
    return str(value).replace("\0", "")[:most]


def milliseconds(t: float) -> int:
    """Unix seconds as MLflow counts them."""
    return round(t * 1000)


def safe_key(key: str) -> str:
    """The key with what MLflow refuses (any sign but letters, digits and `_-./ :`, and broken paths) made `_`."""
    plain = re.sub(r"[^\w.\-/ :]", "_", key)[:KEY_LENGTH]
    whole_path = posixpath.normpath(plain) == plain and not plain.startswith((".", "/"))
    return plain if whole_path else re.sub(r"^\.|/", "_", plain)


def sweep_tag(name: str) -> str:
    """The tag that holds the ids of the sweeps of this name."""
    return safe_key(f"{SWEEP_TAG}.{name}")


Row = tuple[str, int, int, str]


def row(point: Point) -> Row:
    """A point as MLflow identifies it: key, step, milliseconds and value (its largest number stands for infinity)."""
    return safe_key(point.key), point.step, milliseconds(point.t), spelled(point.value)


def spelled(value: float) -> str:
    """A metric's value, NaN included, so that equal ones compare equal."""
    return repr(max(-_LARGEST, min(_LARGEST, float(value)))) if not math.isnan(value) else "nan"


_LARGEST = 1.7976931348623157e308


def _name(shipment: Shipment) -> str:
    """`conditioning=none depth=6`: what made the trial in its oldest sweep, else its seed and id."""
    overrides = shipment.sweeps[0][1].overrides if shipment.sweeps else {}
    if not overrides:
        return f"seed={shipment.config.get('seed', 0)} {shipment.id[:8]}"
    short = Counter(key.rpartition(".")[2] for key in overrides)
    names = {key: key.rpartition(".")[2] for key in overrides}
    return " ".join(f"{names[key] if short[names[key]] == 1 else key}={value}" for key, value in overrides.items())


def _rounded(speed: float | None) -> str:
    """Two digits: enough to sort by, and not another tag with every log line."""
    return f"{float(f'{speed:.2g}'):.0f}" if speed and math.isfinite(speed) else ""


def _hours(hours: float, *, is_live: bool) -> str:
    """Exact in the end; two digits until then."""
    return f"{float(f'{hours:.2g}') if is_live else hours:.4f}"


def _tags(shipment: Shipment, *, seen: Mapping[str, str], note: str) -> dict[str, Any]:
    status = shipment.status
    newest = status.attempts[-1]
    tags: dict[str, Any] = {
        TRIAL_TAG: shipment.id,
        "state": status.state.value,
        "commit": newest.provenance.get("commit", ""),
        "host": newest.host,
        "job": status.job_id,
        "attempts": len(status.attempts),
        "preemptions": status.preemptions,
        "repeated_steps": status.repeated_steps,
        "gpu_hours": _hours(gpu_hours(status), is_live=status.state is State.RUNNING),
        "images_per_s": _rounded(status.metrics.get("images_per_s")),
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
    """The description. `folder`: the trial's; `log`: the newest one's name and last lines; `pages`: ours are served."""
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
    """On one line, without what would end a span of code or a cell of a table."""
    return " ".join(str(text).split()).replace("`", "'").replace("|", "/")
