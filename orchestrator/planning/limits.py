"""Limits of a trial's settings beyond their types, checked before anything is queued. Does not import torch.

The core checks these and more when it builds a model; a login node can check these in no time.
"""

import math
import re
from operator import attrgetter

from iwm_core.config import TrialConfig
from iwm_core.data import mask_counts
from iwm_core.errors import ConfigError
from iwm_core.objectives import requirements
from orchestrator.planning.catalogue import DEFAULTS, packaged_options, protocol_names
from orchestrator.trial.sweep import Resources

AT_LEAST: dict[str, float] = {
    "encoder.width": 4,
    "encoder.depth": 1,
    "encoder.heads": 1,
    "predictor.width": 4,
    "predictor.depth": 1,
    "predictor.heads": 1,
    "conditioning.layers": 1,
    "objective.expander_width": 1,
    "objective.expander_layers": 1,
    "evaluate.bank_size": 2,
    "evaluate.bank_images": 1,
    "train.steps": 1,
    "train.batch_size": 1,
    "train.threads": 1,
    "train.log_every": 1,
    "tune.steps": 1,
    "tune.batch_size": 2,  # a head has a batch norm
    "tune.head_heads": 1,
    "evaluate.neighbours": 1,
    "evaluate.probe_train_images": 1,
    "evaluate.probe_test_images": 1,
    "resources.checkpoint_every_steps": 1,
    "resources.keep_checkpoints": 1,
    "resources.slots": 1,
    "resources.time_limit_min": 1,
    "resources.nodes": 1,
    "resources.gpus_per_node": -1,
    "resources.trials_per_gpu": 1,
}
"""Minima other than 0."""
FREE = (
    "data.max_corrupt_files",
    "optim.weight_decay_final",
    "photometric.solarize_threshold",
    "train.online_every",
    "resources.gpus",
)
"""Numbers that may be negative, as in trials of earlier versions."""
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
"""Numbers between 0 and 1."""
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
"""Protocols that need a predictor, which a timm model does not have."""


def check(config: TrialConfig, resources: Resources) -> None:
    """Check that settings can work, each alone and together.

    Raises:
        ConfigError: names the setting, its value and what is valid.
    """
    for key, read, least, most in _RANGES:
        value = read(resources if key.startswith("resources.") else config)
        if not least <= value <= most:
            valid = f"at least {least:g}" if most == math.inf else f"between {least:g} and {most:g}"
            raise ConfigError(f"{key} must be {valid}, not {value:g}", setting=key, value=value)
    kind, conditionings = config.conditioning.kind, packaged_options("conditioning")
    if kind not in conditionings:
        raise ConfigError.unknown("conditioning", kind, choices=conditionings, setting="conditioning.kind")
    _check_evaluation(config)
    requirements.check(config)
    requirements.check_teacher(config, weights_file=resources.weights_file)
    if config.data.kind == "imagefolder" and not config.data.dataset:  # a path does not identify its images
        raise ConfigError(
            "data=imagefolder needs data.dataset, a name for these images that becomes part of the trial, such as"
            " data.dataset=imagenet1k; their folder is resources.data_root",
            setting="data.dataset",
        )
    for name in ("encoder", "predictor"):
        shape = getattr(config, name)
        if shape.width % shape.heads or shape.width % 4:
            raise ConfigError(
                f"{name}.width {shape.width} must be a multiple of {name}.heads {shape.heads} and of 4"
                " (sine-cosine positions)",
                setting=f"{name}.width",
                value=shape.width,
            )
    mask_counts.check(config)


def _check_evaluation(config: TrialConfig) -> None:
    """Check which weights are evaluated, and by which protocol."""
    pretrain, protocol, protocols = config.pretrain, config.evaluate.protocol, protocol_names()
    if pretrain and not TRIAL_ID.fullmatch(pretrain) and not TIMM.fullmatch(pretrain):
        raise ConfigError(
            f"pretrain is a trial id, such as 0123456789abcdef, or timm:<name of a timm model>, not '{pretrain}'",
            setting="pretrain",
            value=pretrain,
        )
    if protocol and protocol not in protocols:
        raise ConfigError.unknown("evaluate.protocol", protocol, choices=protocols)
    if protocol and not pretrain:
        raise ConfigError(
            f"evaluate.protocol={protocol} evaluates trained weights: set pretrain, or use iwm evaluate",
            setting="pretrain",
        )
    if pretrain and not config.parent and protocol in ("", *NEED_PREDICTOR):
        valid = [name for name in protocols if name not in NEED_PREDICTOR]
        reason = f"evaluate.protocol={protocol} needs a predictor" if protocol else "it needs an evaluate.protocol"
        message = f"pretrain={pretrain} is only an encoder, and {reason}; choose from {', '.join(valid)}"
        raise ConfigError(message, setting="evaluate.protocol", value=protocol, choices=valid)


_RANGES = [
    (key, attrgetter(key.removeprefix("resources.")), AT_LEAST.get(key, 0), 1 if key in SHARES else math.inf)
    for key, default in DEFAULTS.items()
    if type(default) in (int, float) and key not in FREE
]
