"""What there is to choose from: the sweeps, the folders of the Hydra tree and the settings of a trial. No hydra here.

A user's folder (`./sweeps`, or one that is named) comes before the packaged one: its files win, its options join. Only
`config.yaml` is always the packaged one.
A sweep NAME is `ablation/NAME.yaml` or `NAME.yaml` in one of them; a group is any other folder and its options are its
files.
"""

import difflib
import re
import reprlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
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
"""Characters of a value: no path that a system opens is longer."""
OPTION = re.compile(r"\w[\w.-]*")

SETTINGS: tuple[str, ...] = tuple(flatten({**to_dict(TrialConfig()), "resources": to_dict(Resources())}))
"""Every setting of a trial and of its resources, dotted."""


@dataclass(frozen=True)
class Catalogue:
    """The folders that are searched, the first one first."""

    folders: tuple[Path, ...]

    @classmethod
    def of(cls, sweeps_dir: Path | None) -> "Catalogue":
        """The packaged folder behind `sweeps_dir`, or behind `./sweeps` where there is one.

        Raises:
            UnknownSweepError: `sweeps_dir` is no folder.
        """
        own = Path("sweeps") if sweeps_dir is None else Path(sweeps_dir).expanduser()
        if sweeps_dir is not None and not own.is_dir():
            raise UnknownSweepError(f"there is no folder '{own}' with sweeps")
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
            UnknownSweepError: there is none; names the ones there are.
        """
        if name.endswith((".yaml", ".yml")):
            if not Path(name).is_file():
                raise UnknownSweepError(f"there is no sweep file '{name}'")
            return Path(name)
        if name not in self.sweeps:
            raise UnknownSweepError.unknown("sweep", name, choices=self.sweeps)
        return self.sweeps[name]

    def values(self, key: str, raw: Iterable[Any]) -> tuple[Scalar, ...]:
        """The values, valid for `key`: names of options, or values that the setting can hold, as they were written.

        Raises:
            OverrideError: an unknown group, setting or option, or a value that is no single value.
            ConfigError: a value that the setting cannot hold.
        """
        self.check_key(key)
        return tuple(self._value(key, value) for value in raw)

    def design(self, design: Design) -> Design:
        """The design with every key and value as above."""
        bundles = []
        for bundle in design.bundles:
            columns = zip(bundle.keys, zip(*bundle.rows, strict=True), strict=True)
            rows = zip(*(self.values(key, column) for key, column in columns), strict=True)
            bundles.append(replace(bundle, rows=tuple(rows), when=self.pattern(bundle.when)))
        return Design(tuple(bundles), tuple(self.pattern(pattern) for pattern in design.exclude))

    def pattern(self, pattern: Pattern) -> Pattern:
        """The pattern with every key and value as above."""
        return {key: self.values(key, values) for key, values in pattern.items()}

    def check_key(self, key: str) -> None:
        """Refuses a key that is neither a group nor a setting; names what it could have been.

        Raises:
            OverrideError: see above.
        """
        if key in self.groups or key in SETTINGS:
            return
        group = key.partition(".")[0]
        inside = [setting for setting in SETTINGS if setting.startswith(group + ".")]
        if inside and key != group:
            valid = ", ".join(setting.partition(".")[2] for setting in inside)
            raise OverrideError(f"unknown setting '{key}'{closest(key, inside)}; '{group}' has {valid}")
        valid = dict.fromkeys([*self.groups, *(setting.partition(".")[0] for setting in SETTINGS)])
        near = closest(key, [*valid, *SETTINGS])
        raise OverrideError(f"unknown setting '{key}'{near}; choose from {', '.join(valid)}, or one of their settings")

    def _value(self, key: str, value: Any) -> Scalar:
        if not isinstance(value, Scalar):
            shown = reprlib.repr(value)
            raise OverrideError(f"'{key}' takes single values, not {shown}; write nested settings one by one")
        if isinstance(value, str) and len(value) > TEXT_MAX:
            raise OverrideError(f"'{key}' takes at most {TEXT_MAX:,} characters, not the {len(value):,} of this value")
        if key in self.groups:
            return self._option(key, value)
        check_value(key, value)
        return value

    def _option(self, group: str, option: Scalar) -> str:
        valid = self.groups[group]
        if str(option) not in valid:
            shown = "null" if option is None else option
            raise OverrideError.unknown(group, shown, choices=valid)
        return str(option)


def protocol_names() -> tuple[str, ...]:
    """Every evaluation protocol: the packaged options of `evaluate`, but for the default, which is none of them."""
    return tuple(name for name in Catalogue((PACKAGED,)).groups["evaluate"] if name != "default")


def closest(word: str, valid: Iterable[str]) -> str:
    """`, did you mean 'x'?` where something is near enough."""
    near = difflib.get_close_matches(word, list(valid), n=1, cutoff=0.75)
    return f" (did you mean '{near[0]}'?)" if near else ""


def _yaml(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.yaml")) if folder.is_dir() else []
