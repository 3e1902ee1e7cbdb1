"""What canaries are sent for. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.doctor.partitions import Partition
from orchestrator.errors import RequestError


@dataclass(frozen=True, kw_only=True)
class Errand:
    """Partitions (none: the default one), what their trials are like, and how long each step of the way may take."""

    partitions: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    sweeps: Path | None = None
    wait_s: float = 600.0


def choose(partitions: Sequence[Partition], *, names: Sequence[str]) -> list[Partition]:
    """The partitions of these names, the default one where none is named.

    Raises:
        RequestError: there is no such partition.
    """
    by_name = {one.name: one for one in partitions}
    for name in names:
        if name not in by_name:
            raise RequestError(f"unknown partition '{name}'; choose from {', '.join(by_name)}")
    if names:
        return [by_name[name] for name in dict.fromkeys(names)]
    default = [one for one in partitions if one.is_default]
    if not default:
        raise RequestError(f"no partition is the default one; name one with --partition: {', '.join(by_name)}")
    return default
