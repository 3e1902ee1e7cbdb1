"""A run's description in the MLflow UI, as Markdown: what made the trial, how to make it again, where it is. Pure.

While a trial runs its description stays as it is: curves say more, and a hundred descriptions need not be sent again.
"""

import shlex
from collections.abc import Mapping

from orchestrator.lifecycle import State, TrialStatus
from orchestrator.run_card import Shipment
from orchestrator.sweep import Scalar, SweepRecord

EVALUATE = "evaluate"
"""The verb, and how what it submits is called."""
PARENT, PROTOCOL = "pretrain", "evaluate.protocol"


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


def command(record: SweepRecord, overrides: Mapping[str, Scalar]) -> str:
    """The shell command that submits this one trial again; of an evaluation by itself, that asks for it again."""
    fixed = {key: value for key, _, value in (text.partition("=") for text in record.fixed)}
    parent = overrides.get(PARENT, fixed.get(PARENT))
    if record.name.startswith(f"{EVALUATE}-") and parent:
        rest = {axis: level for axis, level in overrides.items() if axis not in (PARENT, PROTOCOL)}
        words = [EVALUATE, str(parent), *([str(overrides[PROTOCOL])] if PROTOCOL in overrides else [])]
    else:
        rest, words = overrides, ["submit", record.name, *record.fixed]
    return shlex.join(["iwm", *words, *(f"{axis}={spelled(level)}" for axis, level in rest.items())])


def spelled(value: Scalar) -> str:
    """A value as it would be typed; a float by the shortest digits that give it back."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return repr(value) if isinstance(value, float) else str(value)


def _state(status: TrialStatus) -> str:
    told = status.total_steps and status.state is not State.RUNNING
    steps = f", step {status.step} of {status.total_steps}" if told else ""
    why = f": {_code(status.error)}" if status.error else ""
    return f"**{status.state.value}**{steps}{why}"


def _code(text: object) -> str:
    """On one line, without what would end a span of code or a cell of a table."""
    return " ".join(str(text).split()).replace("`", "'").replace("|", "/")
