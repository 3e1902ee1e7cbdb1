"""The settings that each objective requires. Imports no torch, so that a login node can check them.

An objective refuses values of its central settings that it would ignore. Otherwise the same training would have
several ids.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from iwm_core.config import TrialConfig
from iwm_core.errors import ConfigError, plain


@dataclass(frozen=True)
class Needs:
    """The required value of a setting (with `at_least`: the smallest one), and the reason."""

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
"""Objective -> setting -> requirement."""


def check(config: TrialConfig) -> None:
    """Check that the objective exists and that the settings meet its requirements.

    Raises:
        ConfigError: with the setting, its value and the required one.
    """
    kind = config.objective.kind
    if kind not in REQUIREMENTS:
        raise ConfigError.unknown("objective", kind, choices=REQUIREMENTS, setting="objective.kind")
    for setting, needs in REQUIREMENTS[kind].items():
        came = attrgetter(setting)(config)
        if not needs.allows(came):
            must = f"{setting}{' of at least ' if needs.at_least else '='}{plain(needs.value)}"
            raise ConfigError(
                f"objective.kind={kind} needs {must}, not {plain(came)}, since {needs.why}",
                setting=setting,
                value=came,
                choices=() if needs.at_least else (needs.value,),
            )


def check_teacher(config: TrialConfig, *, weights_file: str) -> None:
    """Check the target, and that a teacher's weights have both a name and a file, or neither.

    Raises:
        ConfigError: names the setting that is missing.
    """
    if not config.teacher:
        return
    weights = config.evaluate.weights
    if weights not in ("", "pretrained") and not weights_file:
        raise ConfigError(
            f"evaluate.weights={weights} names weights of {config.target}; set resources.weights_file to their file",
            setting="resources.weights_file",
            value=weights_file,
        )
    if weights_file and weights in ("", "pretrained"):
        raise ConfigError(
            f"resources.weights_file={weights_file} is a file, and files are not part of a trial: set evaluate.weights "
            f"to a name for these weights of {config.target}, not to '{weights}'",
            setting="evaluate.weights",
            value=weights,
        )
