"""The evaluations of a sweep: for each trained trial one more trial per protocol, named by a label. Pure.

    protocols:
      linear:                                                          # evaluate=linear
      random_predictor: [evaluate=predictor_finetune, tune.predictor=random]
      end_to_end: {overrides: [tune.steps=500], when: {conditioning: feature}}     # of some trials only
      knn: {when: [{conditioning: feature}, {objective: ijepa}]}                   # of those that match one of these

An evaluation has the configuration of its trial, `pretrain` (the trial whose weights are measured) and its own values
of the groups in `MAY_CHANGE`. An entry's overrides take precedence over the sweep's overrides for all trials. The label
is the evaluation's place on the axis `protocol`; a trained trial has none.

`tune` does not affect pretraining. In a sweep with protocols, its overrides of `tune` therefore apply to evaluations
only, and the same pretraining with another fine-tuning is the same trial.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.errors import OverrideError, RequestError
from orchestrator.planning.axes import Pattern, matches
from orchestrator.trial.sweep import Scalar

AXIS = "protocol"
GROUP, TUNE = "evaluate", "tune"
MAY_CHANGE = (GROUP, TUNE, "data", "resources")
"""`data`, because a probe may use other images than pretraining; the core requires the same size."""

Settings = Mapping[str, Scalar]


@dataclass(frozen=True)
class Protocol:
    """One entry of a sweep's file, for the trained trials that match one of the patterns `when` (none: for all)."""

    label: str
    overrides: tuple[str, ...] = ()
    when: tuple[Pattern, ...] = ()

    def is_for(self, place: Settings) -> bool:
        """Return True if the trained trial at this place on the axes is measured."""
        return not self.when or any(matches(pattern, place) for pattern in self.when)


def chosen(found: Sequence[Protocol], overrides: Sequence[str]) -> tuple[list[Protocol], list[str]]:
    """The entries that an override `protocol=a,b` selects (all without one), and the other overrides.

    Raises:
        OverrideError: a label that the sweep does not have; names those it has.
    """
    asked = [text for text in overrides if text.partition("=")[0] == AXIS]
    labels = {label.strip() for text in asked for label in text.partition("=")[2].split(",")}
    known = [protocol.label for protocol in found]
    for label in sorted(labels.difference(known)):
        raise OverrideError.unknown("protocol", label, choices=known)
    kept = [protocol for protocol in found if not asked or protocol.label in labels]
    return kept, [text for text in overrides if text not in asked]


def check(keys: Iterable[str]) -> None:
    """Check that an evaluation may change these settings.

    Raises:
        RequestError: it takes one of them from its trial.
    """
    for key in keys:
        if _group(key) not in MAY_CHANGE:
            valid = ", ".join(f"{group}.*" for group in MAY_CHANGE)
            message = f"an evaluation takes {key} from its trial; choose from {valid}"
            raise RequestError(message, setting=key, choices=MAY_CHANGE)


def of_pretraining(fixed: Settings, axes: Iterable[str]) -> dict[str, Scalar]:
    """The settings that apply to the trained trials of a sweep with protocols.

    Raises:
        OverrideError: an axis of `tune`, which does not affect pretraining.
    """
    for key in axes:
        if _group(key) == TUNE:
            raise OverrideError(f"'{key}' does not affect pretraining: add a protocol for each value", setting=key)
    return {key: value for key, value in fixed.items() if _group(key) != TUNE}


def of_evaluation(label: str, said: Settings, *, of_all: Settings) -> dict[str, Scalar]:
    """The settings that an evaluation changes: those of the entry `label`, on top of those `of_all` trials."""
    named = {} if GROUP in said else {GROUP: label}
    below = {key: value for key, value in of_all.items() if _group(key) in MAY_CHANGE and ("." in key or key == TUNE)}
    return {**below, **named, **said}


def _group(key: str) -> str:
    return key.partition(".")[0]
