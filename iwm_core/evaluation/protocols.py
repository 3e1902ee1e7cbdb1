"""Every protocol there is: what a trial with `evaluate.protocol=<name>` does to the weights that `pretrain` names.

Those that measure are a function from the networks to metrics. Those that tune train something for `tune.steps` steps,
with checkpoints, and then measure. Names of metrics do not repeat between protocols, but for `mrr` and `linear`, which
say what they say at the end of pretraining. Next to its metric each reports its baseline; the module says which.

To add one: a module with such a function or `Learner`, its line in a table, a file in `sweeps/evaluate/`.
"""

from collections.abc import Callable
from functools import partial

from iwm_core.errors import ConfigError
from iwm_core.evaluation import knn, layers, per_class, probes, retrieval
from iwm_core.evaluation.finetune import AttentiveProbe, FineTuned
from iwm_core.evaluation.multitask import Multitask
from iwm_core.evaluation.segmentation import Segmentation
from iwm_core.evaluation.segmentation_tuned import TunedSegmentation
from iwm_core.evaluation.subject import Subject
from iwm_core.evaluation.tuning import Learner


def _linear(subject: Subject) -> dict[str, float]:
    return probes.measure(
        subject.config,
        networks=subject.networks,
        target=subject.target,
        device=subject.device,
        data_root=subject.data_root,
    )


MEASURES: dict[str, Callable[[Subject], dict[str, float]]] = {
    "mrr": retrieval.measure,
    "linear": _linear,
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
"""Protocols that do not ask for the classes of the data set itself."""


def check(name: str) -> None:
    """Refuses a protocol that there is not.

    Raises:
        ConfigError: names those there are.
    """
    if name and name not in PROTOCOLS:
        raise ConfigError(f"unknown evaluate.protocol {name!r}; choose from {', '.join(PROTOCOLS)}")
