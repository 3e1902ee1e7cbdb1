"""What a trial's settings must keep to, beyond their types, before anything is queued. No torch here.

The core checks the same and more when it builds a model; these are what a login node can say in no time.
"""

import re
from collections.abc import Sequence
from operator import attrgetter
from typing import Any

from iwm_core.config import TrialConfig
from iwm_core.data import mask_counts
from iwm_core.errors import ConfigError
from iwm_core.objectives import requirements
from orchestrator.trial.sweep import Resources

AT_LEAST: dict[str, float] = {
    "seed": 0,
    "encoder.width": 4,
    "encoder.depth": 1,
    "encoder.heads": 1,
    "predictor.width": 4,
    "predictor.depth": 1,
    "predictor.heads": 1,
    "predictor.position_noise": 0,
    "conditioning.layers": 1,
    "objective.expander_width": 1,
    "objective.expander_layers": 1,
    "objective.invariance": 0,
    "objective.variance": 0,
    "objective.covariance": 0,
    "photometric.strength": 0,
    "photometric.brightness_max": 0,
    "photometric.contrast_max": 0,
    "photometric.saturation_max": 0,
    "photometric.hue_max": 0,
    "photometric.blur_kernel": 0,
    "evaluate.bank_size": 2,
    "evaluate.bank_images": 1,
    "optim.lr": 0,
    "optim.weight_decay": 0,
    "optim.grad_clip": 0,
    "train.steps": 1,
    "train.batch_size": 1,
    "train.threads": 1,
    "train.log_every": 1,
    "tune.steps": 1,
    "tune.batch_size": 2,  # a head has a batch norm
    "tune.lr": 0,
    "tune.pretrained_lr_ratio": 0,
    "tune.weight_decay": 0,
    "tune.mixup": 0,
    "tune.cutmix": 0,
    "tune.head_heads": 1,
    "tune.classes": 0,
    "evaluate.neighbours": 1,
    "evaluate.probe_train_images": 1,
    "evaluate.probe_test_images": 1,
}
SHARES = (
    "data.flip_p",
    "photometric.jitter_p",
    "photometric.grayscale_p",
    "photometric.blur_p",
    "photometric.solarize_p",
    "optim.warmup_ratio",
    "optim.ema",
    "optim.ema_final",
    "tune.layer_decay",
    "tune.warmup_ratio",
    "tune.label_smoothing",
)
TRIAL_ID = re.compile(r"[0-9a-f]{16}")
TIMM = re.compile(r"timm:\w[\w.-]*")
NEED_PREDICTOR = (
    "mrr",
    "predictor_finetune",
    "end_to_end",
    "multitask",
    "segmentation_predictor",
    "segmentation_end_to_end",
)
"""Protocols that a timm model has no part for."""
RESOURCES_AT_LEAST: dict[str, float] = {
    "loader_workers": 0,
    "checkpoint_every_steps": 1,
    "keep_checkpoints": 1,
    "slots": 1,
    "lost_retries": 0,
    "oom_retries": 0,
    "error_retries": 0,
    "time_limit_min": 1,
    "signal_before_s": 0,
    "nodes": 1,
    "gpus_per_node": -1,
    "cpus_per_gpu": 0,
    "mem_gb": 0,
    "max_parallel": 0,
    "trials_per_gpu": 1,
}


def check(config: TrialConfig, resources: Resources, *, conditionings: Sequence[str], protocols: Sequence[str]) -> None:
    """Refuses what cannot work; `conditionings` and `protocols` are those there are.

    Raises:
        ConfigError: names the setting, its value and what is valid.
    """
    _at_least(config, _MINIMA)
    _at_least(resources, _RESOURCE_MINIMA, prefix="resources.")
    for key, read in _SHARES:
        if not 0 <= read(config) <= 1:
            raise ConfigError(f"{key} must be between 0 and 1, not {read(config):g}")
    if config.conditioning.kind not in conditionings:
        raise ConfigError.unknown(
            "conditioning", config.conditioning.kind, choices=conditionings, setting="conditioning.kind"
        )
    _check_evaluation(config, protocols)
    requirements.check(config)
    requirements.check_teacher(config, weights_file=resources.weights_file)
    _check_images(config)
    _check_heads(config)
    mask_counts.check(config)


def _at_least(config: Any, minima: Sequence[tuple[str, Any, float]], *, prefix: str = "") -> None:
    for key, read, least in minima:
        if read(config) < least:
            raise ConfigError(f"{prefix}{key} must be at least {least:g}, not {read(config):g}")


def _check_evaluation(config: TrialConfig, protocols: Sequence[str]) -> None:
    """Whose weights are evaluated, and by what."""
    pretrain, protocol = config.pretrain, config.evaluate.protocol
    if pretrain and not TRIAL_ID.fullmatch(pretrain) and not TIMM.fullmatch(pretrain):
        raise ConfigError(
            f"pretrain is the id of a trial, such as 0123456789abcdef, or timm:<name of a timm model>, not '{pretrain}'"
        )
    if protocol and protocol not in protocols:
        raise ConfigError.unknown("evaluate.protocol", protocol, choices=protocols)
    if protocol and not pretrain:
        raise ConfigError(
            f"evaluate.protocol={protocol} is about weights that were trained before: set pretrain, or use iwm evaluate"
        )
    if pretrain and not config.parent and protocol in ("", *NEED_PREDICTOR):
        valid = ", ".join(name for name in protocols if name not in NEED_PREDICTOR)
        named = f"evaluate.protocol={protocol} needs a predictor" if protocol else "it needs an evaluate.protocol"
        raise ConfigError(f"pretrain={pretrain} is an encoder alone, and {named}; choose from {valid}")


def _check_images(config: TrialConfig) -> None:
    """A folder's path says nothing about what lies in it, and is no part of a trial."""
    if config.data.kind == "imagefolder" and not config.data.dataset:
        raise ConfigError(
            "data=imagefolder needs data.dataset, a name for these images that becomes part of the trial, such as"
            " data.dataset=imagenet1k; their folder is resources.data_root"
        )


def _check_heads(config: TrialConfig) -> None:
    for name in ("encoder", "predictor"):
        shape = getattr(config, name)
        if shape.width % shape.heads or shape.width % 4:
            raise ConfigError(
                f"{name}.width {shape.width} must be a multiple of {name}.heads {shape.heads} and of 4"
                " (sine-cosine positions)"
            )


_MINIMA = [(key, attrgetter(key), least) for key, least in AT_LEAST.items()]
_RESOURCE_MINIMA = [(key, attrgetter(key), least) for key, least in RESOURCES_AT_LEAST.items()]
_SHARES = [(key, attrgetter(key)) for key in SHARES]
