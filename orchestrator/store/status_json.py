"""A trial's status as text and back, without loss. Pure.

    {"state": "running", "attempts": [{"number": 0, ...}], ...}     the status, but for
    [{"fingerprint": {...}, "provenance": {...}}]                   what its attempts ran on, one entry each

Two lines of JSON, since thousands of trials agree in the second: it is parsed once, and its values are shared, so
nobody may change them. A field at its default is left out, a missing one has its default, an unknown one is ignored: a
version that knows other fields than the writer's reads on. NaN and infinity are spelled as words, as in a journal.
"""

import dataclasses
import json
import math
import typing
from collections.abc import Callable, Mapping
from enum import Enum
from functools import cache, lru_cache, partial
from itertools import zip_longest
from typing import Any

from orchestrator.trial.lifecycle import Attempt, State, TrialStatus

_WORDS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
Reader = Callable[[Any], Any]


def to_json(status: TrialStatus) -> str:
    """Two lines, the second without a newline."""
    attempts = [_fields(attempt) for attempt in status.attempts]
    grounds = [{key: raw.pop(key) for key in _grounds_of(Attempt) if key in raw} for raw in attempts]
    fields = _fields(status) | ({"attempts": attempts} if attempts else {})
    return f"{_dumped(fields)}\n{_dumped(grounds)}"


def from_json(text: str) -> TrialStatus:
    """The status of such a text.

    Raises:
        ValueError: it is not JSON.
        KeyError: it does not say the state.
    """
    first, _, second = text.partition("\n")
    raw = json.loads(first)
    raw["state"] = State(raw["state"])
    pairs = zip_longest(raw.get("attempts", ()), _parse_grounds(second), fillvalue={})
    raw["attempts"] = [{**attempt, **ground} for attempt, ground in pairs if attempt]
    return _build(TrialStatus, raw)


@lru_cache(maxsize=256)
def _parse_grounds(line: str) -> list[dict[str, Any]]:
    return json.loads(line) if line else []


@cache
def _grounds_of(kind: type) -> tuple[str, ...]:
    """The fields that hold mappings."""
    return tuple(key for key, hint in typing.get_type_hints(kind).items() if typing.get_origin(hint) is Mapping)


def _dumped(value: Any) -> str:
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


@cache
def _defaults(kind: type) -> dict[str, Any]:
    """The declared defaults; nothing equals that of a field without one."""
    none = dataclasses.MISSING
    specs = dataclasses.fields(kind)
    return {spec.name: spec.default if spec.default_factory is none else spec.default_factory() for spec in specs}


def _fields(value: Any) -> dict[str, Any]:
    """What differs from the declared defaults, as plain JSON."""
    defaults = _defaults(type(value))
    here = vars(value)
    return {key: _plain(here[key]) for key, default in defaults.items() if here[key] != default}


def _plain(value: Any) -> Any:
    match value:
        case str() | int() | None:
            return value
        case float():
            return value if math.isfinite(value) else "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
        case Mapping():
            return {key: _plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_plain(inner) for inner in value]
    return _fields(value)


def _build(kind: type, raw: Mapping[str, Any]) -> Any:
    """The dataclass `kind` from what a reader knows of its fields.

    They are put in place at once: a frozen class sets one after the other, which takes as long as parsing them.
    """
    known, readers = _readers(kind)
    made = object.__new__(kind)
    fields = vars(made)
    fields |= _defaults(kind)
    fields |= raw if raw.keys() <= known else {key: value for key, value in raw.items() if key in known}
    for key, reader in readers:
        if key in raw:
            fields[key] = reader(raw[key])
    return made


@cache
def _readers(kind: type) -> tuple[frozenset[str], tuple[tuple[str, Reader], ...]]:
    """The fields, and how to read those that are not in JSON what they are here."""
    hints = typing.get_type_hints(kind)
    readers = {key: _reader(hint) for key, hint in hints.items()}
    return frozenset(hints), tuple((key, reader) for key, reader in readers.items() if reader)


def _reader(hint: Any) -> Reader | None:
    """From plain JSON to what this annotation says; None where they are the same."""
    arguments = typing.get_args(hint)
    if type(None) in arguments:
        reader = _reader(next(arm for arm in arguments if arm is not type(None)))
        return reader and (lambda value: None if value is None else reader(value))
    if typing.get_origin(hint) is tuple:
        reader = _reader(arguments[0])
        return (lambda value: tuple(map(reader, value))) if reader else tuple
    if typing.get_origin(hint) is Mapping and arguments[1] is float:
        return _numbers
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint
    if dataclasses.is_dataclass(hint):
        return partial(_build, typing.cast(type, hint))
    return _number if hint is float else None


def _numbers(values: Mapping[str, Any]) -> Mapping[str, float]:
    if str not in map(type, values.values()):
        return values
    return {key: _number(value) for key, value in values.items()}


def _number(value: float | str) -> float:
    return _WORDS[value] if isinstance(value, str) else value
