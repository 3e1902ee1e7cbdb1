"""Which of a protocol's metrics is its score: the one that stands in the table of evaluations. Pure."""

from orchestrator.trial.results import TrialResult

SCORES = {
    "": "mrr",
    "mrr": "mrr",
    "linear": "linear_probe_top1",
    "per_class": "per_class_s100_top1",
}
"""Protocol -> metric, where its name does not say."""


def score_of(protocol: str) -> str:
    """The metric that is the score of a protocol of the core."""
    kind = "miou" if protocol.startswith("segmentation") else "top1"
    return SCORES.get(protocol, f"{protocol}_{kind}")


def protocol_of(trial: TrialResult) -> str:
    """The protocol of an evaluation; empty for what pretraining measures at its end."""
    return str(trial.config.get("evaluate.protocol", ""))


def score(trial: TrialResult) -> float | None:
    """The score of a finished evaluation; None where it has none."""
    return trial.status.metrics.get(score_of(protocol_of(trial)))
