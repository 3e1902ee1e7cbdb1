"""Select trials by settings or by a sweep's axes: `--where predictor.depth=18 --where protocol=linear,knn`."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import yaml

from iwm_core.config import flatten
from orchestrator.errors import OverrideError
from orchestrator.records.layout import Layout
from orchestrator.trial.value import Trial

NO_PLACES: Mapping[str, Mapping[str, Any]] = {}


def select(
    layout: Layout,
    trial_ids: Sequence[str],
    where: Sequence[str],
    *,
    places: Mapping[str, Mapping[str, Any]] = NO_PLACES,
) -> list[str]:
    """The trials that meet every condition.

    `places` are trials' values on the axes of their sweep, which take precedence over settings of the same name.

    Raises:
        OverrideError: a malformed condition, or a setting that no trial has.
    """
    if not where:
        return list(trial_ids)
    conditions = [condition(text) for text in where]
    known = {
        trial_id: flatten(Trial.from_json(layout.trial(trial_id).value_file.read_bytes()).to_dict()["config"])
        | dict(places.get(trial_id, {}))
        for trial_id in trial_ids
    }
    for key, _ in conditions:
        _check(key, known.values())
    return [key for key, settings in known.items() if all(_holds(settings, *one) for one in conditions)]


def condition(text: str) -> tuple[str, tuple[Any, ...]]:
    """Parse `predictor.depth=12,18` into a setting and its values; a group (`conditioning=feature`) means its kind.

    Raises:
        OverrideError: it does not have that form.
    """
    key, equals, values = text.partition("=")
    if not equals or not key or not values:
        message = f"--where '{text}' is not of the form setting=value or setting=value,value"
        raise OverrideError(message, setting="--where", value=text)
    try:
        return key, tuple(yaml.safe_load(value) for value in values.split(","))
    except yaml.YAMLError as error:
        message = f"--where '{text}': cannot parse the values '{values}'"
        raise OverrideError(message, setting="--where", value=text) from error


def _check(key: str, known: Collection[Mapping[str, Any]]) -> None:
    """Check that some trial has this setting."""
    if not known or any(key in settings or f"{key}.kind" in settings for settings in known):
        return
    every = list(dict.fromkeys(other for settings in known for other in settings))
    near = [other for other in every if other.split(".")[0] == key.split(".", maxsplit=1)[0]] or every
    raise OverrideError.unknown("setting", key, choices=near, setting="--where")


def _holds(settings: Mapping[str, Any], key: str, values: Sequence[Any]) -> bool:
    name = key if key in settings else f"{key}.kind"
    return name in settings and any(_equal(settings[name], value) for value in values)


def _equal(left: Any, right: Any) -> bool:
    """Compare numbers by value, everything else as text."""
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (left, right))
    return left == right if numbers else str(left) == str(right)
