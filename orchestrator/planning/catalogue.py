"""The sweeps, groups and settings that a user can choose from. Does not import hydra.

A user's folder (`./sweeps` or the one given) comes before the packaged one: its files take precedence and its options
are added. Only `config.yaml` is always the packaged one. A sweep NAME is `ablation/NAME.yaml` or `NAME.yaml` in one of
the folders; a group is any other folder, and its options are the names of its files.
"""

import difflib
import re
import reprlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from iwm_core.config import TrialConfig, flatten, to_dict
from orchestrator.errors import OverrideError, UnknownSweepError
from orchestrator.planning.axes import Design, Pattern
from orchestrator.planning.composition import check_value
from orchestrator.trial.sweep import Resources, Scalar

PACKAGED = Path(__file__).resolve().parents[2] / "sweeps"
SWEEPS = "ablation"
NO_GROUPS = {SWEEPS, "hydra"}
TEXT_MAX = 4_000
"""Characters of a value; the longest path that a system opens is about as long."""
OPTION = re.compile(r"\w[\w.-]*")

DEFAULTS: dict[str, Any] = flatten({**to_dict(TrialConfig()), "resources": to_dict(Resources())})
"""Every setting of a trial and of its resources, dotted, with its default."""
SETTINGS = tuple(DEFAULTS)


@dataclass(frozen=True)
class Catalogue:
    """The folders that are searched, in order."""

    folders: tuple[Path, ...]

    @classmethod
    def of(cls, sweeps_dir: Path | None) -> "Catalogue":
        """`sweeps_dir` (default: `./sweeps`, if it exists), then the packaged folder.

        Raises:
            UnknownSweepError: `sweeps_dir` is not a folder.
        """
        own = Path("sweeps") if sweeps_dir is None else Path(sweeps_dir).expanduser()
        if sweeps_dir is not None and not own.is_dir():
            raise UnknownSweepError(f"no sweep folder '{own}'", path=own)
        folders = [own.resolve(), PACKAGED] if own.is_dir() else [PACKAGED]
        return cls(tuple(dict.fromkeys(folders)))

    @cached_property
    def sweeps(self) -> dict[str, Path]:
        """Name -> file."""
        found: dict[str, Path] = {}
        for folder in self.folders:
            for file in (*_yaml(folder / SWEEPS), *_yaml(folder)):
                if file.stem != "config":
                    found.setdefault(file.stem, file)
        return found

    @cached_property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """Group -> options."""
        found: dict[str, dict[str, None]] = {}
        for folder in self.folders:
            for path in sorted(folder.iterdir()):
                options = {file.stem: None for file in _yaml(path) if OPTION.fullmatch(file.stem)}
                if options and path.name not in NO_GROUPS:
                    found.setdefault(path.name, {}).update(options)
        return {group: tuple(sorted(options)) for group, options in found.items()}

    def find(self, name: str) -> Path:
        """The file of the sweep called `name`, or the file `name` itself where it is a path.

        Raises:
            UnknownSweepError: no such sweep; lists the known ones.
        """
        if name.endswith((".yaml", ".yml")):
            if not Path(name).is_file():
                raise UnknownSweepError(f"no sweep file '{name}'", path=name)
            return Path(name)
        if name not in self.sweeps:
            raise UnknownSweepError.unknown("sweep", name, choices=self.sweeps)
        return self.sweeps[name]

    def values(self, key: str, raw: Iterable[Any]) -> tuple[Scalar, ...]:
        """The values, checked for `key`: names of options, or values that the setting can hold, as they were written.

        Raises:
            OverrideError: an unknown group, setting or option, or a value that is not a single value.
            ConfigError: a value that the setting cannot hold.
        """
        self.check_key(key)
        return tuple(self._value(key, value) for value in raw)

    def design(self, design: Design) -> Design:
        """The design with every key and value checked, as `values` does."""
        bundles = []
        for bundle in design.bundles:
            columns = zip(bundle.keys, zip(*bundle.rows, strict=True), strict=True)
            rows = zip(*(self.values(key, column) for key, column in columns), strict=True)
            bundles.append(replace(bundle, rows=tuple(rows), when=self.pattern(bundle.when)))
        return Design(tuple(bundles), tuple(self.pattern(pattern) for pattern in design.exclude))

    def pattern(self, pattern: Pattern) -> Pattern:
        """The pattern with every key and value checked, as `values` does."""
        return {key: self.values(key, values) for key, values in pattern.items()}

    def check_key(self, key: str) -> None:
        """Check that a key is a group or a setting.

        Raises:
            OverrideError: it is neither; names the settings of the nearest group, or else all groups.
        """
        if key in self.groups or key in SETTINGS:
            return
        near = difflib.get_close_matches(key, SETTINGS, n=1, cutoff=0.75) or [key]
        group = near[0].partition(".")[0]
        inside = [setting for setting in SETTINGS if setting.startswith(group + ".")]
        if inside and key != group:
            raise OverrideError.unknown("setting", key, choices=inside, setting=key)
        valid = dict.fromkeys([*self.groups, *(setting.partition(".")[0] for setting in SETTINGS)])
        raise OverrideError.unknown("setting", key, choices=valid, setting=key, more=", or one of their settings")

    def _value(self, key: str, value: Any) -> Scalar:
        if not isinstance(value, Scalar):
            shown = reprlib.repr(value)
            message = f"'{key}' takes single values, not {shown}; write nested settings one by one"
            raise OverrideError(message, setting=key, value=value)
        if isinstance(value, str) and len(value) > TEXT_MAX:
            message = f"'{key}' takes at most {TEXT_MAX:,} characters, not the {len(value):,} of this value"
            raise OverrideError(message, setting=key)
        if key not in self.groups:
            check_value(key, value)
            return value
        if str(value) not in self.groups[key]:
            raise OverrideError.unknown(key, "null" if value is None else value, choices=self.groups[key])
        return str(value)


@cache
def packaged_options(group: str) -> tuple[str, ...]:
    """The options of a packaged group."""
    return Catalogue((PACKAGED,)).groups[group]


def protocol_names() -> tuple[str, ...]:
    """Every evaluation protocol: the packaged options of `evaluate` except `default`, which names none."""
    return tuple(name for name in packaged_options("evaluate") if name != "default")


def _yaml(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.yaml")) if folder.is_dir() else []
