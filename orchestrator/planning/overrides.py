"""Overrides in Hydra's grammar, from the command line or a sweep's file, as valid settings.

Three forms are supported:

    encoder=small                  an option of a group: the file sweeps/encoder/small.yaml
    predictor.depth=6              a setting
    predictor.depth=6,12,18        an axis; also choice(...), range(...), and glob(...) for groups
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any, cast

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import (
    ChoiceSweep,
    Glob,
    IntervalSweep,
    Override,
    OverrideType,
    QuotedString,
    RangeSweep,
)
from hydra.errors import HydraException

from orchestrator.errors import OverrideError
from orchestrator.planning.axes import POINTS_MAX
from orchestrator.planning.catalogue import Catalogue
from orchestrator.trial.sweep import Scalar

GRAMMAR = "write key=value, key=a,b,c, key=range(3) or key='quoted text'"


@dataclass(frozen=True)
class Setting:
    """One override: a group or a dotted setting, and its values."""

    key: str
    values: tuple[Scalar, ...]
    sweeping: bool
    text: str


def read_overrides(overrides: Iterable[str], catalogue: Catalogue) -> list[Setting]:
    """Parse and check overrides.

    Raises:
        OverrideError: bad grammar, an unknown group, option or setting, or a form of override that is not supported.
        ConfigError: a value that a setting cannot hold.
    """
    return [_read(text, catalogue) for text in overrides]


def _read(text: str, catalogue: Catalogue) -> Setting:
    try:
        override = OverridesParser.create().parse_override(text)
    except HydraException as error:
        raise OverrideError(f"cannot parse the override {text!r}: {GRAMMAR}", value=text) from error
    key = override.key_or_group
    if not key:
        raise OverrideError(f"cannot parse the override {text!r}: {GRAMMAR}", value=text)
    if override.type is not OverrideType.CHANGE or override.package is not None:
        message = f"cannot use the override {text!r}: every setting is declared, so write {key}=value"
        raise OverrideError(message, setting=key, value=text)
    if override.value() in ("", "???") and not text.endswith(("'", '"')):
        raise OverrideError(f"the override {text!r} has no value: {GRAMMAR}", setting=key, value=text)
    catalogue.check_key(key)
    sweeping = override.is_sweep_override()
    values = _values(override, catalogue) if sweeping else [override.value()]
    return Setting(key, catalogue.values(key, values), sweeping, text)


def _values(override: Override, catalogue: Catalogue) -> list[Any]:
    """The values of a sweeping override."""
    key, text, raw = override.key_or_group, override.input_line, cast(Any, override.value())
    options = catalogue.groups.get(key, ())
    message = ""
    values: list[Any] = []
    if isinstance(raw, IntervalSweep):
        message = f"'{key}' has infinitely many values in an interval: list them, such as {key}=0.25,0.5,1"
    elif isinstance(raw, ChoiceSweep | RangeSweep) and raw.shuffle:
        message = f"'{key}' with shuffle() is a different sweep every time: list its values in order"
    elif isinstance(raw, Glob):
        values = raw.filter(list(options))
    else:
        try:
            values = list(islice(raw.list if isinstance(raw, ChoiceSweep) else raw.range(), POINTS_MAX + 1))
        except (HydraException, ValueError):
            message = f"cannot use the override '{text}': its step must not be 0"
    if len(values) > POINTS_MAX:
        message = f"the override '{text}' gives more than {POINTS_MAX:,} values; use fewer"
    if not values and not message:
        message = f"the override '{text}' gives no value; choose from {', '.join(options or ('numbers',))}"
    if message:
        raise OverrideError(message, setting=key, value=text, choices=options)
    return [value.text if isinstance(value, QuotedString) else value for value in values]
