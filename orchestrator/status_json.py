"""A trial's status as JSON and back, without loss. NaN and infinity are spelled as words, as in a journal. Pure."""

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any

from orchestrator.lifecycle import Attempt, State, TrialStatus

_WORDS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def to_json(status: TrialStatus) -> str:
    """One JSON object."""
    fields = {spec.name: getattr(status, spec.name) for spec in dataclasses.fields(status)}
    fields["attempts"] = [_attempt_fields(attempt) for attempt in status.attempts]
    fields["metrics"] = {key: _word(value) for key, value in status.metrics.items()}
    return json.dumps(fields, allow_nan=False)


def from_json(text: str) -> TrialStatus:
    """The status of such an object."""
    fields = json.loads(text)
    fields["state"] = State(fields["state"])
    fields["attempts"] = tuple(_attempt(raw) for raw in fields["attempts"])
    fields["drifted"] = tuple(fields["drifted"])
    fields["metrics"] = {key: _WORDS.get(value, value) for key, value in fields["metrics"].items()}
    return TrialStatus(**fields)


def _attempt_fields(attempt: Attempt) -> dict[str, Any]:
    return {spec.name: getattr(attempt, spec.name) for spec in dataclasses.fields(attempt)}


def _attempt(raw: Mapping[str, Any]) -> Attempt:
    return Attempt(**{**raw, "skipped": tuple(raw["skipped"])})


def _word(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
