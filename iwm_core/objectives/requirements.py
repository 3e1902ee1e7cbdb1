"""What each objective asks of the other settings. No torch here: a login node refuses with the same words.

A setting that an objective would ignore is refused where it is part of what the objective is about, so that one trial
does not go by two names.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from iwm_core.config import TrialConfig
from iwm_core.errors import ConfigError


@dataclass(frozen=True)
class Needs:
    """A setting must have this value (or, with `at_least`, no smaller one), because of `why`."""

    value: Any
    why: str
    at_least: bool = False

    def allows(self, value: Any) -> bool:
        return value >= self.value if self.at_least else value == self.value


REQUIREMENTS: Mapping[str, Mapping[str, Needs]] = {
    "iwm": {
        "masks.sequences": Needs("union", "it predicts all targets in one pass"),
        "masks.official_quirks": Needs(False, "they are I-JEPA's"),
    },
    "ijepa": {"conditioning.kind": Needs("none", "it has no action")},
    "vicreg": {
        "conditioning.kind": Needs("none", "it has no predictor"),
        "predictor.position_noise": Needs(0.0, "it has no predictor"),
        "target": Needs("ema", "it has no targets"),
        "train.accumulate": Needs(1, "its statistics are those of the whole batch"),
        "train.batch_size": Needs(2, "its statistics are those of the batch", at_least=True),
    },
}
"""Objective -> setting -> what it must be."""


def check(config: TrialConfig) -> None:
    """Refuses an unknown objective, and settings that the objective cannot work with.

    Raises:
        ConfigError: names the setting, its value and the one it must have.
    """
    kind = config.objective.kind
    if kind not in REQUIREMENTS:
        raise ConfigError(f"unknown objective {kind!r}; choose from {', '.join(REQUIREMENTS)}")
    for setting, needs in REQUIREMENTS[kind].items():
        came = attrgetter(setting)(config)
        if not needs.allows(came):
            must = f"{setting}{' of at least ' if needs.at_least else '='}{_said(needs.value)}"
            raise ConfigError(f"objective.kind={kind} needs {must}, since {needs.why}; it is {_said(came)}")


def _said(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)
