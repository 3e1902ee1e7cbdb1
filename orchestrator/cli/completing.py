"""What a shell may offer for a word that is not finished: sweeps, trials, settings and their values.

Called at every Tab, so nothing here imports torch, hydra or a database: names come from folders and files. A shell may
evaluate what it is given, so nothing is offered that is more than letters, digits and `_.,=:+-`.
"""

import os
import re
import typing
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from orchestrator.errors import IwmError
from orchestrator.trial.launchers import LAUNCHERS

if TYPE_CHECKING:
    from orchestrator.planning.catalogue import Catalogue

SAFE = re.compile(r"[\w.,=:+-]+", re.ASCII)
SWEEP_ID = re.compile(r"([A-Za-z0-9][\w.-]*)-[0-9a-f]{8}", re.ASCII)
TRIAL_ID = re.compile(r"[0-9a-f]{16}")
TRIALS_MAX = 100
"""Trials that are offered at once."""


def sweeps(ctx: typer.Context, incomplete: str) -> list[str]:
    """Sweeps that could be planned."""
    catalogue = _catalogue(ctx)
    return _safe(catalogue.sweeps) if catalogue else []


def submitted(ctx: typer.Context, incomplete: str) -> list[str]:
    """Sweeps of the root: by name, and by id once it is begun."""
    matches = [match for match in map(SWEEP_ID.fullmatch, _names(_root(ctx) / "sweeps")) if match]
    names = dict.fromkeys(match[1] for match in matches)
    ids = [match[0] for match in matches if incomplete and match[0].startswith(incomplete)]
    return _safe([*names, *ids])


def trials(ctx: typer.Context, incomplete: str) -> list[str]:
    """Trials of the root, some of many."""
    found = sorted(name for name in _names(_root(ctx) / "trials") if TRIAL_ID.fullmatch(name))
    return [name for name in found if name.startswith(incomplete)][:TRIALS_MAX]


def either(ctx: typer.Context, incomplete: str) -> list[str]:
    """Sweeps of the root, and trials once one is begun."""
    return submitted(ctx, incomplete) + (trials(ctx, incomplete) if incomplete else [])


def launchers(ctx: typer.Context, incomplete: str) -> list[str]:
    """Where trials run."""
    return list(LAUNCHERS)


def formats(ctx: typer.Context, incomplete: str) -> list[str]:
    """What a report is written as."""
    from dashboards.report.content import FORMATS

    return list(FORMATS)


def protocols(ctx: typer.Context, incomplete: str) -> list[str]:
    """What is measured of a trained trial."""
    from orchestrator.planning.catalogue import protocol_names

    return list(protocol_names())


def settings(ctx: typer.Context, incomplete: str) -> list[str]:
    """`key=` for axes, groups and settings; behind it their values, one after each comma.

    bash takes `=` for the end of a word unless COMP_WORDBREAKS says otherwise; then the key is among the words before.
    """
    catalogue = _catalogue(ctx)
    if catalogue is None:
        return []
    axes = _axes(catalogue, ctx.params.get("sweep"))
    before = [str(word) for word in ctx.params.get("overrides") or ctx.params.get("where") or ()]
    if before[-1:] == ["="] and len(before) > 1:
        return _values(catalogue, axes, before[-2], begun=incomplete)
    key, equals, begun = incomplete.partition("=")
    if equals:
        return [f"{key}={value}" for value in _values(catalogue, axes, key, begun=begun)]
    return [f"{name}=" for name in _keys(catalogue, axes, incomplete)]


def _keys(catalogue: "Catalogue", axes: dict[str, list[str]], incomplete: str) -> Iterable[str]:
    """Axes and groups at first; the settings of a group once its dot is typed."""
    from orchestrator.planning.catalogue import SETTINGS

    plain = [setting for setting in SETTINGS if "." in incomplete or "." not in setting]
    return dict.fromkeys([*axes, *catalogue.groups, *plain])


def _values(catalogue: "Catalogue", axes: dict[str, list[str]], key: str, *, begun: str) -> list[str]:
    done, comma, _ = begun.rpartition(",")
    known = [*axes.get(key, ()), *catalogue.groups.get(key, ()), *_choices(key)]
    return _safe(f"{done}{comma}{value}" for value in dict.fromkeys(known) if value not in done.split(","))


def _choices(key: str) -> Iterator[str]:
    """What a setting can be, where it is one of few."""
    from orchestrator.planning.composition import GROUPS

    group, _, name = key.partition(".")
    hint = typing.get_type_hints(GROUPS[group]).get(name) if group in GROUPS else None
    if hint is bool:
        yield from ("true", "false")
    elif typing.get_origin(hint) is typing.Literal:
        yield from map(str, typing.get_args(hint))


def _axes(catalogue: "Catalogue", sweep: str | None) -> dict[str, list[str]]:
    """The axes of a sweep with their values; none where there is no such sweep."""
    from orchestrator.planning import sweepfile

    try:
        design = sweepfile.read(catalogue.find(sweep)).design if sweep else None
    except IwmError:
        return {}
    found: dict[str, list[str]] = {}
    for bundle in design.bundles if design else ():
        for place, key in enumerate(bundle.keys):
            found.setdefault(key, []).extend(_spelled(row[place]) for row in bundle.rows)
    return found


def _spelled(value: object) -> str:
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _catalogue(ctx: typer.Context) -> "Catalogue | None":
    from orchestrator.planning.catalogue import Catalogue

    try:
        return Catalogue.of(ctx.params.get("sweeps"))
    except (IwmError, OSError):
        return None


def _root(ctx: typer.Context) -> Path:
    return Path(ctx.params.get("root") or os.environ.get("IWM_ROOT") or "runs").expanduser()


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _safe(names: Iterable[str]) -> list[str]:
    return [name for name in names if SAFE.fullmatch(name)]
