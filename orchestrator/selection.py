"""Cells of a sweep by their settings: `--where predictor.depth=18 --where conditioning.kind=feature,sequence`."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from iwm_core.config import flatten
from orchestrator.errors import OverrideError
from orchestrator.layout import Layout
from orchestrator.trial import Trial


def select(layout: Layout, trial_ids: Sequence[str], where: Sequence[str]) -> list[str]:
    """The trials whose settings are among the values of every condition.

    Raises:
        OverrideError: a condition that is none, or a setting that no trial has.
    """
    if not where:
        return list(trial_ids)
    conditions = [condition(text) for text in where]
    chosen = []
    for trial_id in trial_ids:
        settings = flatten(Trial.from_json(layout.trial(trial_id).value_file.read_bytes()).to_dict()["config"])
        if all(_holds(settings, key, values) for key, values in conditions):
            chosen.append(trial_id)
    return chosen


def condition(text: str) -> tuple[str, tuple[Any, ...]]:
    """`predictor.depth=12,18` as a setting and its values; a group (`conditioning=feature`) stands for its kind.

    Raises:
        OverrideError: it is not of that form.
    """
    key, equals, values = text.partition("=")
    if not equals or not key or not values:
        raise OverrideError(f"--where '{text}' is not of the form setting=value or setting=value,value")
    try:
        return key, tuple(yaml.safe_load(value) for value in values.split(","))
    except yaml.YAMLError as error:
        raise OverrideError(f"--where '{text}': '{values}' are no values") from error


def _holds(settings: Mapping[str, Any], key: str, values: Sequence[Any]) -> bool:
    name = key if key in settings else f"{key}.kind"
    if name not in settings:
        near = [other for other in settings if other.split(".")[0] == key.split(".", maxsplit=1)[0]] or list(settings)
        raise OverrideError(f"--where: no trial has a setting '{key}'; choose from {', '.join(near)}")
    return any(_equal(settings[name], value) for value in values)


def _equal(left: Any, right: Any) -> bool:
    """Numbers by value, everything else as it is written."""
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (left, right))
    return left == right if numbers else str(left) == str(right)
