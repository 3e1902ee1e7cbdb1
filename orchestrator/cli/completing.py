"""Shell completion of sweeps, trials, settings and their values.

Runs at every Tab, so nothing here imports torch, hydra or a database: names come from folders and files. A shell may
evaluate what it is offered, so every offer consists of letters, digits and `_.,=:+-` alone.
"""

import os
import re
import typing
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from orchestrator.errors import IwmError

if TYPE_CHECKING:
    from orchestrator.planning.catalogue import Catalogue

SAFE = re.compile(r"[\w.,=:+-]+", re.ASCII)
SWEEP_ID = re.compile(r"([A-Za-z0-9][\w.-]*)-[0-9a-f]{8}", re.ASCII)
TRIAL_ID = re.compile(r"[0-9a-f]{16}")
TRIALS_MAX = 100
"""The most trials offered at once."""


def sweeps(ctx: typer.Context) -> list[str]:
    """Sweeps that can be planned."""
    from orchestrator.planning.catalogue import Catalogue

    try:
        return _safe(Catalogue.of(ctx.params.get("sweeps")).sweeps)
    except (IwmError, OSError):
        return []


def submitted(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of the root's sweeps, and the ids that begin with what was typed."""
    matches = [match for match in map(SWEEP_ID.fullmatch, _names(_root(ctx) / "sweeps")) if match]
    names = dict.fromkeys(match[1] for match in matches)
    ids = [match[0] for match in matches if incomplete and match[0].startswith(incomplete)]
    return _safe([*names, *ids])


def trials(ctx: typer.Context, incomplete: str) -> list[str]:
    """At most `TRIALS_MAX` trials of the root."""
    found = sorted(name for name in _names(_root(ctx) / "trials") if TRIAL_ID.fullmatch(name))
    return [name for name in found if name.startswith(incomplete)][:TRIALS_MAX]


def either(ctx: typer.Context, incomplete: str) -> list[str]:
    """Sweeps of the root, and trials once a letter is typed."""
    return submitted(ctx, incomplete) + (trials(ctx, incomplete) if incomplete else [])


def formats() -> list[str]:
    """The formats of a report."""
    from dashboards.report.content import FORMATS

    return list(FORMATS)


def protocols() -> list[str]:
    """The evaluation protocols."""
    from orchestrator.planning.catalogue import protocol_names

    return list(protocol_names())


def settings(ctx: typer.Context, incomplete: str) -> list[str]:
    """`key=` for axes and groups, and for the settings of a group once its dot is typed; after `=`, its values.

    After a comma, values that are not yet in the list. bash ends a word at `=` unless COMP_WORDBREAKS excludes it;
    the key is then one of the words before.
    """
    from orchestrator.planning.catalogue import SETTINGS, Catalogue

    try:
        catalogue = Catalogue.of(ctx.params.get("sweeps"))
    except (IwmError, OSError):
        return []
    axes = _axes(catalogue, ctx.params.get("sweep"))
    before = [str(word) for word in ctx.params.get("overrides") or ctx.params.get("where") or ()]
    key, equals, begun = incomplete.partition("=")
    prefix = f"{key}="
    if before[-1:] == ["="] and len(before) > 1:
        key, equals, begun, prefix = before[-2], "=", incomplete, ""
    if not equals:
        plain = [setting for setting in SETTINGS if "." in incomplete or "." not in setting]
        return [f"{name}=" for name in dict.fromkeys([*axes, *catalogue.groups, *plain])]
    done, comma, _ = begun.rpartition(",")
    known = dict.fromkeys([*axes.get(key, ()), *catalogue.groups.get(key, ()), *_choices(key)])
    found = _safe(f"{done}{comma}{value}" for value in known if value not in done.split(","))
    return [prefix + value for value in found]


def _choices(key: str) -> tuple[str, ...]:
    """The values of a boolean or literal setting; empty for any other."""
    from orchestrator.planning.composition import GROUPS

    group, _, name = key.partition(".")
    hint = typing.get_type_hints(GROUPS[group]).get(name) if group in GROUPS else None
    if hint is bool:
        return ("true", "false")
    return tuple(map(str, typing.get_args(hint))) if typing.get_origin(hint) is typing.Literal else ()


def _axes(catalogue: "Catalogue", sweep: str | None) -> dict[str, list[str]]:
    """The axes of a sweep with their values; empty if there is no such sweep."""
    from orchestrator.planning import sweepfile
    from orchestrator.trial.sweep import spelled

    try:
        bundles = sweepfile.read(catalogue.find(sweep)).design.bundles if sweep else ()
    except IwmError:
        return {}
    found: dict[str, list[str]] = {}
    for bundle in bundles:
        for place, key in enumerate(bundle.keys):
            found.setdefault(key, []).extend(spelled(row[place]) for row in bundle.rows)
    return found


def _root(ctx: typer.Context) -> Path:
    return Path(ctx.params.get("root") or os.environ.get("IWM_ROOT") or "runs").expanduser()


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _safe(names: Iterable[str]) -> list[str]:
    return [name for name in names if SAFE.fullmatch(name)]
