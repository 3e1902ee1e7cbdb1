"""Overrides in Hydra's grammar, on the command line and in a sweep's file, as settings that are known to be valid.

Three forms are understood:

    encoder=small                  an option of a group: the file sweeps/encoder/small.yaml
    predictor.depth=6              a setting
    predictor.depth=6,12,18        an axis; also choice(...), range(...), and glob(...) for groups
"""

from collections.abc import Iterable, Sequence
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
