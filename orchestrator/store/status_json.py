"""A trial's status as text and back, without loss. Pure.

    {"state": "running", "attempts": [{"number": 0, ...}], ...}     the status, but for
    [{"fingerprint": {...}, "provenance": {...}}]                   what its attempts ran on, one entry each

The second line is the same for thousands of trials, so it is parsed once and its values are shared: treat them as
read-only. Fields at their default are left out, missing fields get it and unknown ones are ignored, so that versions
with other fields can read the text. NaN and infinity are written as Python's json writes them.
"""

import dataclasses
import json
from collections.abc import Mapping
from functools import cache, lru_cache
from itertools import zip_longest
from typing import Any

from orchestrator.trial.lifecycle import Attempt, State, TrialStatus

ENVIRONMENT = ("fingerprint", "provenance")
"""The fields of an attempt that go into the second line."""


def to_json(status: TrialStatus) -> str:
    """Two lines of JSON, the second without a newline."""
    attempts = [_changed(attempt) for attempt in status.attempts]
    environments = [{key: raw.pop(key) for key in ENVIRONMENT if key in raw} for raw in attempts]
    fields = _changed(status) | ({"attempts": attempts} if attempts else {})
    return "\n".join(json.dumps(line, separators=(",", ":")) for line in (fields, environments))


def from_json(text: str) -> TrialStatus:
    """The status of such a text.

    Raises:
        ValueError: it is not JSON.
        KeyError: it has no state.
    """
    first, _, second = text.partition("\n")
    raw = json.loads(first)
    pairs = zip_longest(raw.get("attempts", ()), _parse_environments(second), fillvalue={})
    attempts = [_build(Attempt, {**attempt, **environment}) for attempt, environment in pairs if attempt]
    return _build(TrialStatus, {**raw, "state": State(raw["state"]), "attempts": attempts})


@lru_cache(maxsize=256)
def _parse_environments(line: str) -> list[dict[str, Any]]:
    return json.loads(line) if line else []


@cache
def _defaults(kind: type) -> dict[str, Any]:
    """The declared default of every field; `MISSING` for a field without one."""
    none = dataclasses.MISSING
    specs = dataclasses.fields(kind)
    return {spec.name: spec.default if spec.default_factory is none else spec.default_factory() for spec in specs}


def _changed(value: Any) -> dict[str, Any]:
    """The fields that differ from their defaults."""
    fields = vars(value)
    return {key: fields[key] for key, default in _defaults(type(value)).items() if fields[key] != default}


def _build(kind: type, raw: Mapping[str, Any]) -> Any:
    """The dataclass `kind` with those of these fields that it has; lists become tuples.

    Fills the instance's dictionary at once: the `__init__` of a frozen class takes as long as parsing the text.
    """
    made, defaults = object.__new__(kind), _defaults(kind)
    known = {key: tuple(value) if type(value) is list else value for key, value in raw.items() if key in defaults}
    vars(made).update(defaults | known)
    return made
