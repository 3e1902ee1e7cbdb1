"""From valid settings to one cell, through Hydra.

Hydra composes once per combination of groups (65 ms each); other settings are merged per cell (`composition`), with the
same result: tests/orchestrator/planning/test_composer.py compares the two on random cells.
"""

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException
from hydra.version import VersionBase
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from iwm_core.config import to_dict
from orchestrator.errors import OverrideError
from orchestrator.planning import limits, protocols
from orchestrator.planning.catalogue import PACKAGED, SETTINGS, Catalogue
from orchestrator.planning.composition import RESOURCES, Builder, Tree, merge, resolve, value_of
from orchestrator.trial.sweep import Cell, Scalar
from orchestrator.trial.value import Trial


class Composer:
    """Makes cells. Caches what Hydra composed for each combination of groups, and built groups of settings."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._builder = Builder()
        self._trees: dict[tuple[tuple[str, Scalar], ...], Tree] = {}
        self._slow: dict[str, Tree] = {}

    def cell(self, settings: Mapping[str, Scalar], *, axes: Iterable[str]) -> Cell:
        """The cell with these valid settings; its overrides are the resolved values of `axes`.

        Raises:
            OverrideError: the files do not compose.
            ConfigError: settings that cannot work.
        """
        return self._cell(self.tree(settings), settings, axes=axes)

    def evaluation(self, parent: Cell, settings: Mapping[str, Scalar]) -> Cell:
        """The evaluation of that trained cell with these valid settings.

        Raises:
            RequestError: a setting that an evaluation takes from its trial.
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
        limits.check(config, resources)
        options = self._catalogue.groups
        said = {key: settings[key] if key in options else value_of(config, resources, key) for key in axes}
        return Cell(Trial(config), said, resources)

    def tree(self, settings: Mapping[str, Scalar]) -> Tree:
        """Compose these settings with Hydra, interpolations resolved."""
        plain = {key: value for key, value in settings.items() if key not in self._catalogue.groups}
        return resolve(merge(self._composed(settings), plain), slowly=self._slowly)

    def _composed(self, settings: Mapping[str, Scalar]) -> Tree:
        """Compose the groups among these settings with Hydra, interpolations not resolved."""
        chosen = tuple((key, value) for key, value in settings.items() if key in self._catalogue.groups)
        if chosen not in self._trees:
            self._trees[chosen] = composed(dict(chosen), self._catalogue)
        return self._trees[chosen]

    def _slowly(self, tree: Tree) -> Tree:
        """The tree as OmegaConf resolves it; cached."""
        known = repr(tree)
        if known not in self._slow:
            self._slow[known] = _resolve_slowly(tree)
        return self._slow[known]


def composed(chosen: Mapping[str, Scalar], catalogue: Catalogue) -> Tree:
    """The tree that Hydra composes from config.yaml with these options of groups, interpolations not resolved.

    Raises:
        OverrideError: the files do not compose.
    """
    declared = {setting.partition(".")[0] for setting in SETTINGS}
    overrides = [
        f"{'' if key in declared else '+'}{key}={QuotedString(str(option), Quote.single).with_quotes()}"
        for key, option in chosen.items()
    ]
    with _plainly("the settings cannot be composed"), searching(catalogue.folders):
        config = compose("config", [*overrides, "hydra.searchpath=[]"])  # empty, and yet it makes Hydra look again
        return cast(Tree, OmegaConf.to_container(config, resolve=False))


def _resolve_slowly(tree: Tree) -> Tree:
    with _plainly("a setting has no value"):
        config = OmegaConf.create(dict(tree))
        return cast(Tree, OmegaConf.to_container(config, resolve=True, throw_on_missing=True))


@contextmanager
def _plainly(what: str) -> Iterator[None]:
    """Raises errors of Hydra and OmegaConf as an `OverrideError` of one line."""
    try:
        yield
    except (HydraException, OmegaConfBaseException, YAMLError, OSError, ValueError) as error:
        cause = error.__cause__ or error
        lines = [line.strip() for line in str(cause).splitlines()[:3]]
        words = "; ".join(line for line in lines if line and not line.startswith("object_type"))
        raise OverrideError(f"{what}: {words or type(cause).__name__}") from error


@contextmanager
def searching(folders: Sequence[Path]) -> Iterator[None]:
    """Initialises Hydra on these folders, in order; the packaged one, which has config.yaml, comes last.

    Silent, and restores Hydra's global state, since the caller may be a Hydra application itself.
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
