"""A run's description in the MLflow UI, as Markdown: what made the trial, how to make it again, where it is. Pure.

While a trial runs its description stays as it is: curves say more, and a hundred descriptions need not be sent again.
"""

from orchestrator.store.rows import Shipment
from orchestrator.trial.lifecycle import State, TrialStatus
from orchestrator.trial.sweep import command


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
