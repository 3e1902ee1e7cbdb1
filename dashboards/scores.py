"""Which of a protocol's metrics is its score: the one that stands in the table of evaluations. Pure."""

from orchestrator.results import TrialResult

SCORES = {
    "": "mrr",
    "mrr": "mrr",
    "linear": "linear_probe_top1",
    "segmentation": "segmentation_miou",
}
"""Protocol -> metric, where it is not `<protocol>_top1`."""


def score_of(protocol: str) -> str:
    """The metric that is the score of a protocol of the core."""
    return SCORES.get(protocol, f"{protocol}_top1")


def score(trial: TrialResult) -> float | None:
    """The score of a finished evaluation; None where its protocol has none."""
    return trial.status.metrics.get(score_of(str(trial.config.get("evaluate.protocol", ""))))
