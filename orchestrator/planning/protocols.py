"""What a sweep measures of every trial that it trains: one more trial for each protocol, known by a label. Pure.

    protocols:
      linear:                                                          # evaluate=linear
      random_predictor: [evaluate=predictor_finetune, tune.predictor=random]
      end_to_end: {overrides: [tune.steps=500], when: {conditioning: feature}}     # of some trials only
      knn: {when: [{conditioning: feature}, {objective: ijepa}]}                   # of those that match one of these

An evaluation has the configuration of its trial, `pretrain` (whose weights are measured), and what is measured
otherwise: settings of the groups in `MAY_CHANGE`. What the sweep says of these for all trials holds below what the
entry says. The label is the evaluation's place on the axis `protocol`; the trained trial has none there.

`tune` says nothing about pretraining. So in a sweep with protocols what holds for all trials of `tune` is left to the
evaluations, and the same pretraining under another fine-tuning is the same trial.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.errors import OverrideError, RequestError
from orchestrator.planning.axes import Pattern, matches
from orchestrator.trial.sweep import Scalar

AXIS = "protocol"
GROUP, TUNE = "evaluate", "tune"
MAY_CHANGE = (GROUP, TUNE, "data", "resources")
"""`data`, because a probe may be of other images than pretraining; the core wants them of one size."""

Settings = Mapping[str, Scalar]


@dataclass(frozen=True)
class Protocol:
    """One entry of a sweep's file. `when`: it is for trained trials that match one of these; for all, without any."""

    label: str
    overrides: tuple[str, ...] = ()
    when: tuple[Pattern, ...] = ()

    def is_for(self, place: Settings) -> bool:
        """Whether the trained trial at this place on the axes is measured."""
        return not self.when or any(matches(pattern, place) for pattern in self.when)


def chosen(found: Sequence[Protocol], overrides: Sequence[str]) -> tuple[list[Protocol], list[str]]:
    """The entries that `protocol=a,b` among the overrides asks for (all, where nothing does), and the other overrides.

    Raises:
        OverrideError: a label that the sweep does not have; names those it has.
    """
    asked = [text for text in overrides if text.partition("=")[0] == AXIS]
    labels = {label.strip() for text in asked for label in text.partition("=")[2].split(",")}
    for label in labels - {protocol.label for protocol in found}:
        known = ", ".join(protocol.label for protocol in found) or "none"
        raise OverrideError(f"unknown protocol '{label}'; this sweep's are {known}")
    kept = [protocol for protocol in found if not asked or protocol.label in labels]
    return kept, [text for text in overrides if text not in asked]


def check(keys: Iterable[str]) -> None:
    """Refuses settings that an evaluation has from its trial.

    Raises:
        RequestError: names the first one.
    """
    for key in keys:
        if _group(key) not in MAY_CHANGE:
            valid = ", ".join(f"{group}.*" for group in MAY_CHANGE[:-1])
            raise RequestError(f"an evaluation has the {key} of its trial; set {valid} or {MAY_CHANGE[-1]}.*")


def of_pretraining(fixed: Settings, axes: Iterable[str]) -> dict[str, Scalar]:
    """What of a sweep's settings for all trials holds for those that it trains, where it has protocols.

    Raises:
        OverrideError: an axis of `tune`, along which nothing that is trained differs.
    """
    for key in axes:
        if _group(key) == TUNE:
            raise OverrideError(f"'{key}' changes nothing that is trained: give each of its values a protocol")
    return {key: value for key, value in fixed.items() if _group(key) != TUNE}


def of_evaluation(label: str, said: Settings, *, of_all: Settings) -> dict[str, Scalar]:
    """What an evaluation changes of its trial: what the entry `label` says, on top of what was said `of_all`."""
    named = {} if GROUP in said else {GROUP: label}
    below = {key: value for key, value in of_all.items() if _group(key) in MAY_CHANGE and ("." in key or key == TUNE)}
    return {**below, **named, **said}


def _group(key: str) -> str:
    return key.partition(".")[0]
