"""The configuration of a trial, as frozen values. Imports no torch: a login node reads thousands of these.

`TrialConfig` is the scientific configuration: everything that decides a result, and nothing else. Two trials with equal
`TrialConfig` are the same trial. `RuntimeConfig` is how one attempt runs (device, workers, checkpoint interval); it
may change between attempts without changing the trial.

Declared defaults are left out of a trial's id, so a new field with a default keeps old ids; changing a default, or the
numerics behind it, bumps `orchestrator.trial.value.ID_VERSION`. Marks such as [C2] state how certain a constant is:
[C1] read in a primary text, [C2] in notes made from the complete paper, [IMPL] in a public re-implementation,
[OURS] chosen here because no source settles it.
"""

import dataclasses
import functools
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from iwm_core.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Images and the one geometric crop that both views share (IWM gives no geometric action)."""

    kind: Literal["digits_on_photos", "imagefolder", "random"] = "digits_on_photos"
    dataset: str = ""  # name of the images, if `kind` does not imply it; the folder's path belongs to the runtime
    image_size: int = 32  # pixels, after the crop
    stored_size: int = 40  # pixels, before the crop; of generated data sets
    crop_area_min: float = 0.3  # [C1 I-JEPA] share of the area kept by RandomResizedCrop
    crop_area_max: float = 1.0
    crop_aspect_min: float = 0.75
    crop_aspect_max: float = 4 / 3
    interpolation: Literal["bilinear", "bicubic"] = "bicubic"
    flip_p: float = 0.5  # [C2] crop and flip are common to x and y
    max_corrupt_files: int = 10  # unreadable files to skip; one more is an error
    random_images: int = 4096  # size of the `random` data set


@dataclass(frozen=True, kw_only=True)
class PhotometricConfig:
    """The transformation behind the action. Maxima are those at strength 1; they also normalise the action."""

    brightness_max: float = 0.4  # [C2]
    contrast_max: float = 0.4  # [C2]
    saturation_max: float = 0.2  # [C2]
    hue_max: float = 0.1  # [C2] in turns
    strength: float = 1.0  # multiplies the four maxima, for both views
    jitter_p: float = 0.8  # [C2] on the source and on the target
    grayscale_p: float = 0.2  # [C2] destructive operations touch the source only
    blur_p: float = 0.2  # [C2]
    solarize_p: float = 0.1  # [C2] table says 0.1, prose 0.2
    factors: Literal["linear", "log"] = "linear"  # U(1-m, 1+m), or exp U(-log(1+m), log(1+m))
    hue: Literal["hsv", "yiq"] = "hsv"  # torchvision's HSV shift, or a rotation in YIQ: linear and fast
    blur_sigma_min: float = 0.1  # [OURS, BYOL]
    blur_sigma_max: float = 2.0
    blur_kernel: int = 0  # pixels, odd; 0: the odd number nearest to a tenth of the image (23 at 224)
    solarize_threshold: float = 0.5


@dataclass(frozen=True, kw_only=True)
class MasksConfig:
    """Which patches the encoder sees and which the predictor predicts. Counts are fixed, so shapes are static."""

    kind: Literal["union", "multiblock"] = "union"  # context: complement of the union; or I-JEPA's block minus it
    blocks: int = 4  # [C2]
    area_min: float = 0.15  # [C2] share of the patches, before overlap
    area_max: float = 0.2
    aspect_min: float = 0.75  # [C1 I-JEPA]
    aspect_max: float = 1.5
    context_area_min: float = 0.85  # [C1 I-JEPA] of `multiblock`
    context_area_max: float = 1.0
    context_ratio: float = 0.4375  # K_context / N
    target_ratio: float = 0.4375  # K_target / N; of each block where `sequences` is `blocks`
    per: Literal["sample", "step"] = "sample"
    sequences: Literal["union", "blocks"] = "union"  # one target sequence [C2], or one a block [C1]
    official_quirks: bool = False  # [C1 I-JEPA's code] bounds, one draw a step, cut to the batch's least


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """A timm Vision Transformer without class token, on fixed sine-cosine positions."""

    patch_size: int = 8
    width: int = 64
    depth: int = 2
    heads: int = 2
    mlp_ratio: float = 4.0


@dataclass(frozen=True, kw_only=True)
class PredictorConfig:
    """A narrow Vision Transformer from context latents and mask tokens to target latents."""

    width: int = 64
    depth: int = 2
    heads: int = 2  # [C1 I-JEPA] the encoder's head count
    mlp_ratio: float = 4.0
    position_noise: float = 0.0  # [C1 StoP] deviation of the stochastic positions of the mask tokens; 0: none


@dataclass(frozen=True, kw_only=True)
class ConditioningConfig:
    """How the predictor gets the action."""

    kind: str = "feature"  # one of the table in models/conditioning.py
    layers: int = 3  # [C2] linear layers of `feature`
    activation: Literal["relu", "gelu"] = "relu"  # [IMPL]


@dataclass(frozen=True, kw_only=True)
class ObjectiveConfig:
    """The loss."""

    kind: str = "iwm"  # one of the table in objectives/
    loss: Literal["mse", "smooth_l1"] = "mse"  # [OURS] mean over positions and features
    target_norm: bool = True  # [OURS, as I-JEPA's code] parameter-free LayerNorm on the targets
    invariance: float = 25.0  # of `vicreg`: weights of its three terms [C1 VICReg]
    variance: float = 25.0
    covariance: float = 1.0
    expander_width: int = 256  # [OURS] VICReg has 8192 behind a ResNet-50
    expander_layers: int = 3  # [C1 VICReg]


@dataclass(frozen=True, kw_only=True)
class OptimConfig:
    """AdamW and its schedules, which are functions of the step."""

    lr: float = 3e-3  # peak, as given: no hidden scaling with the batch
    lr_start_ratio: float = 0.2  # [C1 I-JEPA] 2e-4 / 1e-3
    lr_final_ratio: float = 1e-3  # [C1 I-JEPA] 1e-6 / 1e-3
    warmup_ratio: float = 0.1  # share of all steps
    weight_decay: float = 0.05  # on matrices only
    weight_decay_final: float = 0.05
    beta1: float = 0.9
    beta2: float = 0.999
    grad_clip: float = 1.0  # global norm; 0: none
    ema: float = 0.996  # [C1 I-JEPA] linear per step to `ema_final`
    ema_final: float = 1.0


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Length and numerics of training."""

    steps: int = 2000
    batch_size: int = 64  # over all ranks
    precision: Literal["fp32", "bf16"] = "fp32"  # bf16: autocast; weights and loss stay fp32
    threads: int = 1  # of torch on the CPU; another number gives other bits
    deterministic: bool | None = None  # None: on the CPU
    log_every: int = 20  # steps between two `step` events
    accumulate: int = 1  # micro-batches whose gradients make one step
    compile: bool = False  # torch.compile of the networks: the same function, other bits
    online_every: int = 0  # steps between two online evaluations (MRR and k-NN on few images); 0: none


@dataclass(frozen=True, kw_only=True)
class TuneConfig:
    """Training settings of the protocols that train something. The defaults suit the toy networks."""

    steps: int = 300
    batch_size: int = 64
    lr: float = 3e-3  # peak, of heads and of a random predictor; cosine to 0
    pretrained_lr_ratio: float = 0.1  # [C2] of a pretrained predictor, and of an encoder
    layer_decay: float = 1.0  # of an encoder: ratio of a block's rate to the next block's
    weight_decay: float = 0.05
    warmup_ratio: float = 0.05
    label_smoothing: float = 0.0
    mixup: float = 0.0  # alpha of the Beta distribution; 0: none
    cutmix: float = 0.0
    encoder: Literal["pretrained", "random"] = "pretrained"  # random: from scratch, at the full rate
    predictor: Literal["pretrained", "random"] = "pretrained"
    head_heads: int = 2  # of the attentive head
    tasks: str = ""  # of `multitask`: names, separated by commas; empty: all tasks of the data set
    classes: int = 0  # of `segmentation` on a folder: number of classes, such as 150 for ADE20K


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """The evaluation: of this trial at the end of its pretraining, or of an earlier trial."""

    protocol: str = ""  # one of the table in evaluation/protocols.py; empty: those at the end of pretraining
    bank_size: int = 256  # [C2] augmented versions of each image
    bank_images: int = 32  # held-out images
    bank_strength: float = 1.0  # the same for every trial, so that rows are comparable
    bank_seed: int = 0
    probe_train_images: int = 5000  # at most
    probe_test_images: int = 2000  # at most
    probe_l2: float = 1e-3
    neighbours: int = 20  # of k-NN [C1 DINO]
    temperature: float = 0.07  # of its votes [C1 DINO]
    weights: str = ""  # name of a timm model's weights (their file belongs to the runtime); `pretrained`: timm's own


@dataclass(frozen=True, kw_only=True)
class TrialConfig:
    """Everything that decides the result of one pretraining run, or of the evaluation of one (`pretrain`)."""

    seed: int = 0
    data: DataConfig = field(default_factory=DataConfig)
    photometric: PhotometricConfig = field(default_factory=PhotometricConfig)
    masks: MasksConfig = field(default_factory=MasksConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    predictor: PredictorConfig = field(default_factory=PredictorConfig)
    conditioning: ConditioningConfig = field(default_factory=ConditioningConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)
    tune: TuneConfig = field(default_factory=TuneConfig)
    pretrain: str = ""  # weights to evaluate: a trial's id or `timm:<name>`; empty: this trial trains its own
    target: str = "ema"  # the target encoder: `ema`, or `frozen:<timm name>`, a teacher that is not trained

    @property
    def parent(self) -> str:
        """The id of the trial whose weights are evaluated; empty if there is none, as for a timm model."""
        return "" if self.pretrain.startswith("timm:") else self.pretrain

    @property
    def teacher(self) -> str:
        """The timm model whose latents are the targets; empty: the target is the encoder's EMA.

        Raises:
            ConfigError: `target` names neither.
        """
        kind, _, name = self.target.partition(":")
        if self.target != "ema" and (kind != "frozen" or not name):
            raise ConfigError.unknown("target", self.target, choices=["ema", "frozen:<name of a timm model>"])
        return name

    @property
    def grid(self) -> int:
        """Patches along one side of the image."""
        return self.data.image_size // self.encoder.patch_size


@dataclass(frozen=True, kw_only=True)
class RuntimeConfig:
    """How one attempt runs. None of it changes a result on equal hardware."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    loader_workers: int = 0  # processes; 0: in the trainer
    checkpoint_every_steps: int = 50
    keep_checkpoints: int = 2
    data_root: str = ""  # folder of `imagefolder`
    weights_file: str = ""  # weights of the timm model that `pretrain` or `target` names
    checkpoint_activations: bool = False  # recomputes activations in the backward pass instead of storing them


Config = TypeVar("Config")
_hints = functools.cache(typing.get_type_hints)


def from_dict(kind: type[Config], raw: Mapping[str, Any], *, where: str = "") -> Config:
    """Build the frozen configuration `kind` from nested mappings.

    Whole numbers become floats where the field is a float (and floats without a fraction become whole numbers where it
    is an int), so that `1` and `1.0` are the same trial.

    Raises:
        ConfigError: an unknown key, or a value of the wrong type or outside the field's choices.
    """
    hints = _hints(kind)
    unknown = [key for key in raw if key not in hints]
    if unknown:
        raise ConfigError.unknown("setting", where + unknown[0], choices=hints, setting=where + unknown[0])
    values = {key: _convert(hints[key], value, where=where + key) for key, value in raw.items()}
    return kind(**values)


def _convert(hint: Any, value: Any, *, where: str) -> Any:
    """Convert one value to the field's type."""
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise ConfigError(f"'{where}' is a group of settings, not {value!r}", setting=where, value=value)
        return from_dict(typing.cast(type, hint), value, where=where + ".")
    if typing.get_origin(hint) is Literal:
        if value not in typing.get_args(hint):
            raise ConfigError.unknown(where, value, choices=typing.get_args(hint))
        return value
    if isinstance(hint, types.UnionType):
        if value is None:
            return None
        hint = next(arm for arm in typing.get_args(hint) if arm is not type(None))
    return _scalar(hint, value, where=where)


def _scalar(hint: type, value: Any, *, where: str) -> Any:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if hint is float and number and math.isfinite(value):
        return float(value)
    if hint is int and number and float(value).is_integer():
        return int(value)
    if hint in (bool, str) and isinstance(value, hint):
        return value
    raise ConfigError(f"'{where}' must be {_PLAIN[hint]}, not {value!r}", setting=where, value=value)


_PLAIN = {float: "a finite number", int: "a whole number", bool: "true or false", str: "text"}


def check_range(group: Any, name: str, *, most: float = math.inf) -> None:
    """Check 0 < `<name>_min` <= `<name>_max` <= most, for a `name` such as `masks.area` of the group `masks`.

    Raises:
        ConfigError: a bound outside this range.
    """
    low, high = (getattr(group, f"{name.partition('.')[2]}_{end}") for end in ("min", "max"))
    if not 0 < low <= high <= most:
        limit = f", at most {most:g}" if math.isfinite(most) else ""
        raise ConfigError(
            f"{name}_min={low:g} and {name}_max={high:g} must be above 0, in that order{limit}",
            setting=f"{name}_max" if 0 < low <= most else f"{name}_min",
            value=high if 0 < low <= most else low,
        )


def to_dict(config: Any) -> dict[str, Any]:
    """The configuration as nested plain dicts, every field present."""
    fields = ((spec.name, getattr(config, spec.name)) for spec in dataclasses.fields(config))
    return {key: to_dict(value) if dataclasses.is_dataclass(value) else value for key, value in fields}


def non_defaults(config: Any) -> dict[str, Any]:
    """The fields that differ from their declared default, as nested dicts without empty groups."""
    changed: dict[str, Any] = {}
    for spec in dataclasses.fields(config):
        value = getattr(config, spec.name)
        if dataclasses.is_dataclass(value):
            if inner := non_defaults(value):
                changed[spec.name] = inner
        elif value != spec.default:
            changed[spec.name] = value
    return changed


def flatten(raw: Mapping[str, Any], *, prefix: str = "") -> dict[str, Any]:
    """`{"a": {"b": 1}}` as `{"a.b": 1}`."""
    flat: dict[str, Any] = {}
    for key, value in raw.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, prefix=f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
