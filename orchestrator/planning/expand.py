"""From a sweep's file and what was typed to trials.

On the command line several values replace those of an axis, or add an axis. A single value pins an axis, which stays an
axis with one value; of anything else it holds for every trial. Of zipped axes the rows with these values stay. How an
override is written: overrides.py; how a cell is composed: composer.py.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from iwm_core.errors import ConfigError
from orchestrator.errors import OverrideError, RequestError
from orchestrator.planning import protocols, sweepfile
from orchestrator.planning.axes import Design, points, spelled, with_axis
from orchestrator.planning.catalogue import Catalogue
from orchestrator.planning.composer import Composer
from orchestrator.planning.overrides import Setting, read_overrides
from orchestrator.planning.protocols import Protocol
from orchestrator.trial.sweep import Cell, Scalar, Sweep


def expand(name: str, overrides: Sequence[str] = (), *, sweeps_dir: Path | None = None) -> Sweep:
    """The sweep called `name` (or in the YAML file `name`), with these overrides on top. A trial comes once.

    Raises:
        UnknownSweepError: no such sweep, or no such folder; names the sweeps there are.
        OverrideError: a sweep's file, an axis or an override that means nothing; names what is valid.
        ConfigError: settings that cannot work, each alone or together.
    """
    catalogue = Catalogue.of(sweeps_dir)
    file = sweepfile.read(catalogue.find(name))
    with _in_file(file.where):
        fixed = _fixed(file, catalogue)
        design = catalogue.design(file.design)
    chosen, overrides = protocols.chosen(file.protocols, overrides)
    for setting in read_overrides(overrides, catalogue):
        if setting.sweeping or setting.key in design.keys:
            design = with_axis(design, setting.key, setting.values)
            fixed.pop(setting.key, None)
        else:
            fixed = {key: kept for key, kept in fixed.items() if key != setting.key} | {setting.key: setting}
    with _in_file(file.where):
        entries = _entries(chosen, catalogue)
    cells = _cells(design, _values(fixed.values()), catalogue, entries=entries)
    if not cells:
        raise OverrideError(f"the sweep '{file.name}' has no trial left: its exclusions match every one")
    said = tuple(setting.text for setting in fixed.values())
    axes = (*design.keys, protocols.AXIS) if entries else design.keys
    return Sweep(file.name, axes=axes, cells=cells, fixed=said, description=file.description)


def single(overrides: Sequence[str] = (), *, sweeps_dir: Path | None = None) -> Cell:
    """One trial: the defaults with these overrides.

    Raises:
        OverrideError, ConfigError: as `expand`; also an override with more than one value.
    """
    catalogue = Catalogue.of(sweeps_dir)
    settings = read_overrides(overrides, catalogue)
    _refuse_axes(settings, "this is one trial")
    values = _values(settings)
    return Composer(catalogue).cell(values, axes=values)


def evaluated(parent: Cell, overrides: Sequence[str], *, sweeps_dir: Path | None = None) -> Cell:
    """The evaluation of a known trial, with these overrides, which become its place on axes of their own.

    Raises:
        RequestError: a setting that an evaluation has from its trial.
        OverrideError, ConfigError: as `single`.
    """
    catalogue = Catalogue.of(sweeps_dir)
    settings = read_overrides(overrides, catalogue)
    _refuse_axes(settings, "this is one trial")
    return Composer(catalogue).evaluation(parent, _values(settings))


def sweep_names(sweeps_dir: Path | None = None) -> dict[str, str]:
    """Name -> description of every sweep that `expand` would find."""
    return {name: _description(path) for name, path in sorted(Catalogue.of(sweeps_dir).sweeps.items())}


def _description(path: Path) -> str:
    try:
        return sweepfile.read(path).description
    except OverrideError as error:
        return f"(cannot be used: {error})"


def _values(settings: Iterable[Setting]) -> dict[str, Scalar]:
    return {setting.key: setting.values[0] for setting in settings}


def _refuse_axes(settings: Iterable[Setting], why: str) -> None:
    for setting in settings:
        if setting.sweeping:
            raise OverrideError(f"{why}: give one value instead of '{setting.text}'")


def _fixed(file: sweepfile.SweepFile, catalogue: Catalogue) -> dict[str, Setting]:
    settings = read_overrides(file.overrides, catalogue)
    _refuse_axes(settings, "'overrides' hold for every trial, 'axes' vary")
    for setting in settings:
        if setting.key in file.design.keys:
            raise OverrideError(f"'{setting.key}' is both an axis and one of the overrides")
    return {setting.key: setting for setting in settings}


@contextmanager
def _in_file(where: str) -> Iterator[None]:
    """Says which file an error is in."""
    try:
        yield
    except (OverrideError, RequestError, ConfigError) as error:
        raise type(error)(f"{where}: {error}") from error


Entry = tuple[Protocol, Mapping[str, Scalar]]
"""A protocol, and its overrides as they were understood."""


def _entries(found: Iterable[Protocol], catalogue: Catalogue) -> tuple[Entry, ...]:
    entries = []
    for protocol in found:
        settings = read_overrides(protocol.overrides, catalogue)
        _refuse_axes(settings, f"the protocol '{protocol.label}' is one trial")
        said = _values(settings)
        protocols.check(said)
        catalogue.values(protocols.GROUP, [said.get(protocols.GROUP, protocol.label)])
        entries.append((replace(protocol, when=tuple(map(catalogue.pattern, protocol.when))), said))
    return tuple(entries)


def _cells(
    design: Design, fixed: Mapping[str, Scalar], catalogue: Catalogue, *, entries: tuple[Entry, ...] = ()
) -> tuple[Cell, ...]:
    composer = Composer(catalogue)
    cells: dict[str, Cell] = {}
    trained = protocols.of_pretraining(fixed, design.keys) if entries else fixed
    for point in points(design):
        with _in_trial(point):
            cell = composer.cell({**trained, **point}, axes=point)
        if cell.trial.id in cells:
            continue
        cells[cell.trial.id] = cell
        for protocol, said in entries:
            if protocol.is_for(point):
                place = {**point, protocols.AXIS: protocol.label}
                settings = protocols.of_evaluation(protocol.label, said, of_all={**fixed, **point})
                with _in_trial(place):
                    evaluation = replace(composer.evaluation(cell, settings), overrides={**cell.overrides, **place})
                twin = cells.setdefault(evaluation.trial.id, evaluation)
                if twin is not evaluation:
                    other = twin.overrides[protocols.AXIS]
                    raise OverrideError(f"the protocols '{other}' and '{protocol.label}' measure the same")
    return tuple(cells.values())


@contextmanager
def _in_trial(point: Mapping[str, Scalar]) -> Iterator[None]:
    """Says which trial settings cannot work in."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"{error}; in the trial {spelled(point)}" if point else str(error)) from error
