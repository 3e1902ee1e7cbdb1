"""The evaluation of a known trial, or of a timm model: a trial of its own, in a sweep of one cell.

Its configuration is the trial's, with `pretrain` (whose weights) and what is to be measured otherwise. So the same
evaluation is the same trial, and asked for twice it is reused; and it waits until its parent has finished.
"""

from collections.abc import Sequence
from pathlib import Path

from orchestrator.errors import RequestError
from orchestrator.planning.catalogue import protocol_names
from orchestrator.planning.expand import evaluated, single
from orchestrator.trial.sweep import Cell, Sweep

TIMM = "timm:"
"""What comes before the name of a timm model."""


def asked(protocol: str | None, overrides: Sequence[str]) -> tuple[str, ...]:
    """The overrides of an evaluation by this protocol; one that is an override itself is just that.

    Raises:
        RequestError: an unknown protocol; names those there are.
    """
    if not protocol or "=" in protocol:
        return (*([protocol] if protocol else []), *overrides)
    if protocol not in protocol_names():
        raise RequestError.unknown("protocol", protocol, choices=protocol_names(), setting="evaluate.protocol")
    return (f"evaluate.protocol={protocol}", *overrides)


def evaluation_of(parent: Cell, overrides: Sequence[str], *, sweeps_dir: Path | None = None) -> Sweep:
    """The sweep of one evaluation. It runs on the parent's resources, unless the overrides name others.

    Raises:
        RequestError: see above.
        ConfigError: settings that cannot work.
    """
    trial = parent.trial
    if trial.config.pretrain:
        raise RequestError(f"trial {trial.id} is an evaluation itself, of trial {trial.config.pretrain}: evaluate that")
    cell = evaluated(parent, overrides, sweeps_dir=sweeps_dir)
    protocol = cell.trial.config.evaluate.protocol
    return Sweep(
        name=f"evaluate-{trial.id[:8]}" + (f"-{protocol}" if protocol else ""),
        axes=tuple(cell.overrides),
        cells=(cell,),
        fixed=(f"pretrain={trial.id}",),
        description=f"evaluation of trial {trial.id}",
    )


def evaluation_of_public(name: str, overrides: Sequence[str] = (), *, sweeps_dir: Path | None = None) -> Sweep:
    """The sweep of one evaluation of the timm model `name`, with the defaults of a trial.

    Raises:
        OverrideError, ConfigError: as `expand.single`.
    """
    cell = single([f"pretrain='{name}'", *overrides], sweeps_dir=sweeps_dir)
    title = f"evaluate-{name.removeprefix(TIMM)}-{cell.trial.config.evaluate.protocol}"
    return Sweep(name=title, axes=tuple(cell.overrides), cells=(cell,), fixed=(), description=f"evaluation of {name}")
