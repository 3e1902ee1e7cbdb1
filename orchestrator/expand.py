"""From a sweep's file and what was typed to trials: the only place where configurations are composed.

Overrides are written in Hydra's grammar, on the command line and in a sweep's file:

    encoder=small                  an option of a group: the file sweeps/encoder/small.yaml
    predictor.depth=6              a setting
    predictor.depth=6,12,18        an axis; also choice(...), range(...), and glob(...) for groups

On the command line several values replace those of an axis, or add an axis. A single value pins an axis, which stays an
axis with one value; of anything else it holds for every trial. Of zipped axes the rows with these values stay.

Hydra composes once per combination of groups (65 ms each); plain settings are merged per cell (`composition`), with the
same result: tests/orchestrator/test_expand.py compares the two on random cells.
"""

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, cast

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import (
    ChoiceSweep,
    Glob,
    IntervalSweep,
    Override,
    OverrideType,
    Quote,
    QuotedString,
    RangeSweep,
)
from hydra.errors import HydraException
from hydra.version import VersionBase
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from iwm_core.config import to_dict
from iwm_core.errors import ConfigError
from orchestrator import limits, protocols, sweepfile
from orchestrator.axes import POINTS_MAX, Design, points, spelled, with_axis
from orchestrator.catalogue import PACKAGED, SETTINGS, Catalogue, protocol_names
from orchestrator.composition import RESOURCES, Builder, Tree, merge, resolve, value_of
from orchestrator.errors import OverrideError, RequestError
from orchestrator.protocols import Protocol
from orchestrator.sweep import Cell, Scalar, Sweep
from orchestrator.trial import Trial

GRAMMAR = "write key=value, key=a,b,c, key=range(3) or key='quoted text'"


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


@dataclass(frozen=True)
class Setting:
    """One override as it was understood: a group or a dotted setting, and its values."""

    key: str
    values: tuple[Scalar, ...]
    sweeping: bool
    text: str


def read_overrides(overrides: Iterable[str], catalogue: Catalogue) -> list[Setting]:
    """What these overrides, in Hydra's grammar, ask for; every key and value is known to be valid.

    Raises:
        OverrideError: bad grammar, an unknown group, option or setting, or a form of override that has no place here.
        ConfigError: a value that a setting cannot hold.
    """
    return [_read(text, catalogue) for text in overrides]


def _read(text: str, catalogue: Catalogue) -> Setting:
    override = _parse(text)
    catalogue.check_key(override.key_or_group)
    sweeping = override.is_sweep_override()
    values = _enumerated(override, catalogue) if sweeping else [override.value()]
    return Setting(override.key_or_group, catalogue.values(override.key_or_group, values), sweeping, text)


def _parse(text: str) -> Override:
    try:
        override = OverridesParser.create().parse_override(text)
    except HydraException as error:
        raise OverrideError(f"cannot read the override {text!r}: {GRAMMAR}") from error
    key = override.key_or_group
    if not key:
        raise OverrideError(f"cannot read the override {text!r}: {GRAMMAR}")
    if override.type is not OverrideType.CHANGE or override.package is not None:
        raise OverrideError(f"cannot use the override {text!r}: every setting is declared, so write {key}=value")
    if override.value() in ("", "???") and not text.endswith(("'", '"')):
        raise OverrideError(f"the override {text!r} has no value: {GRAMMAR}")
    return override


def _enumerated(override: Override, catalogue: Catalogue) -> list[Any]:
    """The values of a sweeping override."""
    key, text, raw = override.key_or_group, override.input_line, cast(Any, override.value())
    if isinstance(raw, IntervalSweep):
        raise OverrideError(f"'{key}' has no end of values in an interval: list them, such as {key}=0.25,0.5,1")
    if isinstance(raw, ChoiceSweep | RangeSweep) and raw.shuffle:
        raise OverrideError(f"'{key}' would be another sweep each time with shuffle(): list its values in order")
    if isinstance(raw, Glob):
        values = raw.filter(list(catalogue.groups.get(key, ())))
    else:
        values = _bounded(raw.list if isinstance(raw, ChoiceSweep) else raw, text=f"{text}")
    if not values:
        valid = ", ".join(catalogue.groups.get(key, ("numbers",)))
        raise OverrideError(f"the override '{text}' gives no value; choose from {valid}")
    return [value.text if isinstance(value, QuotedString) else value for value in values]


def _bounded(values: Sequence[Any] | RangeSweep, *, text: str) -> list[Any]:
    try:
        bounded = list(islice(values.range() if isinstance(values, RangeSweep) else values, POINTS_MAX + 1))
    except (HydraException, ValueError) as error:
        raise OverrideError(f"cannot read the override '{text}': a step of 0 leads nowhere") from error
    if len(bounded) > POINTS_MAX:
        raise OverrideError(f"the override '{text}' gives more than {POINTS_MAX:,} values; use fewer")
    return bounded


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


class Composer:
    """Makes cells; what Hydra composed for a combination of groups, and groups of settings, are kept for the next."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._builder = Builder()
        self._trees: dict[tuple[tuple[str, Scalar], ...], Tree] = {}
        self._slow: dict[str, Tree] = {}
        self._conditionings, self._protocols = Catalogue((PACKAGED,)).groups["conditioning"], protocol_names()

    def cell(self, settings: Mapping[str, Scalar], *, axes: Iterable[str]) -> Cell:
        """The cell with these valid settings, and what those named by `axes` came to.

        Raises:
            OverrideError: files that do not compose.
            ConfigError: settings that cannot work.
        """
        return self._cell(self.tree(settings), settings, axes=axes)

    def evaluation(self, parent: Cell, settings: Mapping[str, Scalar]) -> Cell:
        """The evaluation of that trained cell with these valid settings.

        Raises:
            RequestError: a setting that an evaluation has from its trial.
            OverrideError, ConfigError: as `cell`.
        """
        protocols.check(settings)
        config = replace(parent.trial.config, pretrain=parent.trial.id)
        return self.changed(replace(parent, trial=Trial(config)), settings)

    def changed(self, cell: Cell, settings: Mapping[str, Scalar]) -> Cell:
        """That cell with these valid settings on top; a group that is named replaces the cell's.

        Raises:
            OverrideError, ConfigError: as `cell`.
        """
        options, tree = self._catalogue.groups, self._composed(settings)
        before = {**to_dict(cell.trial.config), RESOURCES: to_dict(cell.resources)}
        named = {key: tree[key] for key in settings if key in options}
        plain = {key: value for key, value in settings.items() if key not in options}
        after = resolve(merge({**before, **named}, plain), slowly=self._slowly)
        return self._cell(after, settings, axes=settings)

    def _cell(self, tree: Tree, settings: Mapping[str, Scalar], *, axes: Iterable[str]) -> Cell:
        config, resources = self._builder.build(tree)
        limits.check(config, resources, conditionings=self._conditionings, protocols=self._protocols)
        options = self._catalogue.groups
        said = {key: settings[key] if key in options else value_of(config, resources, key) for key in axes}
        return Cell(Trial(config), said, resources)

    def tree(self, settings: Mapping[str, Scalar]) -> Tree:
        """What Hydra would compose from these settings, without interpolations."""
        plain = {key: value for key, value in settings.items() if key not in self._catalogue.groups}
        return resolve(merge(self._composed(settings), plain), slowly=self._slowly)

    def _composed(self, settings: Mapping[str, Scalar]) -> Tree:
        """What Hydra composes from the groups among these settings, interpolations unresolved."""
        chosen = tuple((key, value) for key, value in settings.items() if key in self._catalogue.groups)
        if chosen not in self._trees:
            self._trees[chosen] = composed(dict(chosen), self._catalogue)
        return self._trees[chosen]

    def _slowly(self, tree: Tree) -> Tree:
        """The tree as OmegaConf resolves it, once for each that is asked for."""
        known = repr(tree)
        if known not in self._slow:
            self._slow[known] = _resolve_slowly(tree)
        return self._slow[known]


def composed(chosen: Mapping[str, Scalar], catalogue: Catalogue) -> Tree:
    """The tree that Hydra composes from config.yaml with these options of groups, its interpolations unresolved.

    Raises:
        OverrideError: files that do not compose.
    """
    declared = {setting.partition(".")[0] for setting in SETTINGS}
    overrides = [f"{'' if key in declared else '+'}{key}={_quoted(str(option))}" for key, option in chosen.items()]
    with _plainly("the settings cannot be composed"), searching(catalogue.folders):
        config = compose("config", [*overrides, "hydra.searchpath=[]"])  # empty, and yet it makes Hydra look again
        return cast(Tree, OmegaConf.to_container(config, resolve=False))


def _resolve_slowly(tree: Tree) -> Tree:
    with _plainly("a setting has no value"):
        config = OmegaConf.create(dict(tree))
        return cast(Tree, OmegaConf.to_container(config, resolve=True, throw_on_missing=True))


def _quoted(text: str) -> str:
    return QuotedString(text, Quote.single).with_quotes()


@contextmanager
def _plainly(what: str) -> Iterator[None]:
    """Hydra's and OmegaConf's own words, on one line."""
    try:
        yield
    except (HydraException, OmegaConfBaseException, YAMLError, OSError, ValueError) as error:
        cause = error.__cause__ or error
        lines = [line.strip() for line in str(cause).splitlines()[:3]]
        words = "; ".join(line for line in lines if line and not line.startswith("object_type"))
        raise OverrideError(f"{what}: {words or type(cause).__name__}") from error


@contextmanager
def searching(folders: Sequence[Path]) -> Iterator[None]:
    """Hydra on these folders, the first one first and the packaged one last, where config.yaml is.

    It is silent, and leaves Hydra's global state as it was: an application of Hydra's may be around us.
    """
    base, outer = VersionBase.instance().version_base, GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with warnings.catch_warnings(action="ignore"), initialize_config_dir(str(PACKAGED), version_base="1.3"):
            search_path = GlobalHydra.instance().config_loader().get_search_path()
            for folder in folders:
                if folder != PACKAGED:
                    search_path.prepend(provider="own", path=f"file://{folder}", anchor="main")
            yield
    finally:
        VersionBase.instance().version_base = base
        GlobalHydra.instance().hydra = outer
