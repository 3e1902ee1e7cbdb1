"""The tables of protocols.

    AT_THE_END   measured at the end of pretraining
    MEASURES     measured in a trial of its own, on the weights that `pretrain` names
    TUNES        trains something for `tune.steps` steps, with checkpoints, and then measures

No two protocols share a metric's name, except that `mrr` and `linear` repeat those of the end of pretraining. Each
protocol reports its baseline beside its metric; its module describes both.

To add one: a module with such a function or `Learner`, its line in a table, a file in `sweeps/evaluate/`.
"""

from collections.abc import Callable
from functools import partial

from iwm_core.errors import ConfigError
from iwm_core.evaluation import knn, layers, mrr, per_class, probes, retrieval
from iwm_core.evaluation.finetune import AttentiveProbe, FineTuned
from iwm_core.evaluation.multitask import Multitask
from iwm_core.evaluation.segmentation import Segmentation, TunedSegmentation
from iwm_core.evaluation.subject import Subject
from iwm_core.evaluation.tuning import Learner

Measure = Callable[[Subject], dict[str, float]]

AT_THE_END: dict[str, Measure] = {
    "mrr": mrr.measure,
    "linear": probes.measure,
}

MEASURES: dict[str, Measure] = {
    "mrr": retrieval.measure,
    "linear": probes.measure,
    "knn": knn.measure,
    "probe_layers": layers.measure,
    "per_class": per_class.measure,
}

TUNES: dict[str, Callable[[Subject], Learner]] = {
    "attentive": AttentiveProbe,
    "predictor_finetune": partial(FineTuned, protocol="predictor_finetune", encoder=False, predictor=True),
    "encoder_finetune": partial(FineTuned, protocol="encoder_finetune", encoder=True, predictor=False),
    "end_to_end": partial(FineTuned, protocol="end_to_end", encoder=True, predictor=True),
    "multitask": Multitask,
    "segmentation": Segmentation,
    "segmentation_encoder": partial(TunedSegmentation, protocol="segmentation_encoder", encoder=True, predictor=False),
    "segmentation_predictor": partial(
        TunedSegmentation, protocol="segmentation_predictor", encoder=False, predictor=True
    ),
    "segmentation_end_to_end": partial(
        TunedSegmentation, protocol="segmentation_end_to_end", encoder=True, predictor=True
    ),
}

PROTOCOLS = (*MEASURES, *TUNES)

WITHOUT_CLASSES = ("mrr", "multitask", *(name for name in TUNES if name.startswith("segmentation")))
"""Protocols that do not use the data set's classes."""


def check(name: str) -> None:
    """Check that a protocol exists.

    Raises:
        ConfigError: it does not.
    """
    if name and name not in PROTOCOLS:
        raise ConfigError.unknown("evaluate.protocol", name, choices=PROTOCOLS)


def measured(measure: Measure, subject: Subject) -> dict[str, float]:
    """Return the metrics, in fp32 without autocast and gradients; keeps the networks' modes.

    Raises:
        DataError: images that cannot be read.
    """
    with subject.undisturbed():
        return measure(subject)


def evaluate(subject: Subject) -> dict[str, dict[str, float]]:
    """Return the metrics at the end of pretraining, by protocol; a function of configuration and weights.

    Raises:
        DataError: images that cannot be read.
    """
    return {name: measured(measure, subject) for name, measure in AT_THE_END.items()}
