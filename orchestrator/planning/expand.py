"""From a sweep's file and overrides to trials.

On the command line, several values replace those of an axis or add an axis. A single value pins an axis, which remains
an axis with one value; for any other setting it holds for every trial. Zipped axes keep the rows with these values.
overrides.py explains how an override is written, composer.py how a cell is composed.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from iwm_core.errors import ConfigError
from orchestrator.errors import OverrideError, RequestError
from orchestrator.planning import protocols, sweepfile
from orchestrator.planning.axes import Design, points, spelled, with_axis
from orchestrator.planning.catalogue import Catalogue, protocol_names
from orchestrator.planning.composer import Composer
from orchestrator.planning.overrides import Setting, read_overrides
from orchestrator.planning.protocols import Protocol
from orchestrator.trial.sweep import Cell, Scalar, Sweep

TIMM = "timm:"
"""The prefix of a timm model's name."""


def expand(name: str, overrides: Sequence[str] = (), *, sweeps_dir: Path | None = None) -> Sweep:
    """The sweep called `name` (or in the YAML file `name`) with these overrides. Equal cells are one trial.

    Raises:
        UnknownSweepError: no such sweep or folder; names the sweeps.
        OverrideError: an invalid sweep file, axis or override; names what is valid.
        ConfigError: settings that cannot work, alone or together.
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
        message = f"'exclude' removes every trial of the sweep '{file.name}'"
        raise OverrideError(message, setting="exclude", path=file.where)
    said = tuple(setting.text for setting in fixed.values())
    axes = (*design.keys, protocols.AXIS) if entries else design.keys
    return Sweep(file.name, axes=axes, cells=cells, fixed=said, description=file.description)


def single(overrides: Sequence[str] = (), *, sweeps_dir: Path | None = None) -> Cell:
    """One trial: the defaults with these overrides.

    Raises:
        OverrideError, ConfigError: as `expand`; also an override with more than one value.
    """
    catalogue = Catalogue.of(sweeps_dir)
    values = _single_values(overrides, catalogue, why="this command takes a single trial")
    return Composer(catalogue).cell(values, axes=values)


def asked(protocol: str | None, overrides: Sequence[str]) -> tuple[str, ...]:
    """The overrides of an evaluation by this protocol; `protocol` may be an override itself.

    Raises:
        RequestError: an unknown protocol; names the protocols.
    """
    if not protocol or "=" in protocol:
        return (*([protocol] if protocol else []), *overrides)
    if protocol not in protocol_names():
        raise RequestError.unknown("protocol", protocol, choices=protocol_names(), setting="evaluate.protocol")
    return (f"evaluate.protocol={protocol}", *overrides)


def evaluation_of(parent: Cell, overrides: Sequence[str], *, sweeps_dir: Path | None = None) -> Sweep:
    """A sweep of one evaluation of a known trial. It runs on the parent's resources unless overrides change them.

    The overrides become the evaluation's axes. The same evaluation is the same trial, so it is reused.

    Raises:
        RequestError: the trial is an evaluation itself, or a setting that an evaluation takes from its trial.
        OverrideError, ConfigError: as `single`.
    """
    trial = parent.trial
    if trial.config.pretrain:
        raise RequestError(
            f"trial {trial.id} is an evaluation of trial {trial.config.pretrain}: evaluate that trial instead",
            setting="pretrain",
            value=trial.config.pretrain,
        )
    catalogue = Catalogue.of(sweeps_dir)
    values = _single_values(overrides, catalogue, why="this command takes a single trial")
    cell = Composer(catalogue).evaluation(parent, values)
    protocol = cell.trial.config.evaluate.protocol
    return Sweep(
        name=f"evaluate-{trial.id[:8]}" + (f"-{protocol}" if protocol else ""),
        axes=tuple(cell.overrides),
        cells=(cell,),
        fixed=(f"pretrain={trial.id}",),
        description=f"evaluation of trial {trial.id}",
    )


def evaluation_of_public(name: str, overrides: Sequence[str] = (), *, sweeps_dir: Path | None = None) -> Sweep:
    """A sweep of one evaluation of the timm model `name` (`timm:...`), with the defaults of a trial.

    Raises:
        OverrideError, ConfigError: as `single`.
    """
    cell = single([f"pretrain='{name}'", *overrides], sweeps_dir=sweeps_dir)
    title = f"evaluate-{name.removeprefix(TIMM)}-{cell.trial.config.evaluate.protocol}"
    return Sweep(name=title, axes=tuple(cell.overrides), cells=(cell,), description=f"evaluation of {name}")


def sweep_names(sweeps_dir: Path | None = None) -> dict[str, str]:
    """Name -> description of every sweep that `expand` finds."""
    found = {}
    for name, path in sorted(Catalogue.of(sweeps_dir).sweeps.items()):
        try:
            found[name] = sweepfile.read(path).description
        except OverrideError as error:
            found[name] = f"(cannot be used: {error})"
    return found


def _values(settings: Iterable[Setting]) -> dict[str, Scalar]:
    return {setting.key: setting.values[0] for setting in settings}


def _single(overrides: Iterable[str], catalogue: Catalogue, *, why: str) -> list[Setting]:
    """These overrides, which must have one value each."""
    settings = read_overrides(overrides, catalogue)
    for setting in settings:
        if setting.sweeping:
            raise OverrideError(f"{why}: give one value instead of '{setting.text}'", setting=setting.key)
    return settings


def _single_values(overrides: Iterable[str], catalogue: Catalogue, *, why: str) -> dict[str, Scalar]:
    return _values(_single(overrides, catalogue, why=why))


def _fixed(file: sweepfile.SweepFile, catalogue: Catalogue) -> dict[str, Setting]:
    settings = _single(file.overrides, catalogue, why="'overrides' apply to every trial, 'axes' vary")
    for setting in settings:
        if setting.key in file.design.keys:
            raise OverrideError(f"'{setting.key}' is both an axis and one of the overrides", setting=setting.key)
    return {setting.key: setting for setting in settings}


@contextmanager
def _in_file(where: str) -> Iterator[None]:
    """Adds the file to errors."""
    try:
        yield
    except (RequestError, ConfigError) as error:
        error.args, error.path = (f"{where}: {error}",), error.path or Path(where)
        raise


Entry = tuple[Protocol, Mapping[str, Scalar]]
"""A protocol and its settings."""


def _entries(found: Iterable[Protocol], catalogue: Catalogue) -> tuple[Entry, ...]:
    entries = []
    for protocol in found:
        said = _single_values(protocol.overrides, catalogue, why=f"the protocol '{protocol.label}' is one trial")
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
                    labels = [str(twin.overrides[protocols.AXIS]), protocol.label]
                    message = f"the protocols {' and '.join(labels)} are the same evaluation"
                    raise OverrideError(message, setting="protocols", value=labels)
    return tuple(cells.values())


@contextmanager
def _in_trial(point: Mapping[str, Scalar]) -> Iterator[None]:
    """Adds the trial's place on the axes to errors."""
    try:
        yield
    except ConfigError as error:
        if point:
            error.args = (f"{error}; in the trial {spelled(point)}",)
        raise
