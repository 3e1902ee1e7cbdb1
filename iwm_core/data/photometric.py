r"""The photometric transformation of a view, and the action from one view to another.

    x = T(I; p),   y = T(I; q)        T: brightness, contrast, saturation, hue, grayscale, blur, solarize, in this order
    a_i = (q_i - p_i) / max_i         jitter; for factors drawn in the logarithm, (log q_i - log p_i) / max_i
    a_j = [operation j hit x]         destructive operations, which touch the source only

Symbols: I the crop that both views share, x the source, y the target, p and q their parameters, max_i the jitter's
maximum at strength 1 [C2]. Strength s draws factors in 1 +- s max_i (never below 0) or exp(+- log(1 + s max_i)), and
hue in +- s max_i turns (never beyond half a turn); the normaliser of the action stays max_i, so equal actions mean
equal changes at every strength. Source: IWM [C2]; x and y are jittered independently from I, with probability 0.8 each.
[OURS] the order, the normaliser and the width 7, which the sources leave open: a fixed order makes the action
sufficient, where torchvision permutes the four jitters at random.

Parameters are drawn first, on the host, as one tensor: `draw -> apply -> action`. To add an operation: an entry in
OPERATIONS, its probability or maximum in `PhotometricConfig` and in `sweeps/photometric/destructive.yaml`. The widths
follow from the table. The action gets wider, so every result changes: bump ID_VERSION.

Shapes: B images, P parameters (one per operation), U uniform numbers (one per operation, after the jitter's own),
A components of the action.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from iwm_core.config import PhotometricConfig
from iwm_core.data import pixels

View = Literal["source", "target"]

CACHED_NUMBERS = 2**18
"""Number of float32 values processed at a time on a CPU: one MiB, which fits its cache."""


@dataclass(frozen=True, kw_only=True)
class Operation:
    """How one operation is drawn, applied and encoded in the action."""

    jitter: bool  # True: acts on both views, with the jitter's common gate; False: destructive, on the source only
    identity: float
    draw: Callable[[Tensor, PhotometricConfig], Tensor]  # (u_B, config) -> value_B
    apply_: Callable[[Tensor, Tensor, PhotometricConfig], Tensor]  # (x_BCHW, value_B, config) -> x_BCHW, in place
    component: Callable[[Tensor, Tensor, PhotometricConfig], Tensor]  # (source_B, target_B, config) -> a_B


def identity(batch: int) -> Tensor:
    """Return params_BP that change nothing."""
    return torch.tensor([operation.identity for operation in OPERATIONS.values()]).expand(batch, -1).clone()


def draw(config: PhotometricConfig, u_BU: np.ndarray | Tensor, *, view: View) -> Tensor:
    """params_BP, float32 on the host, from `UNIFORMS` numbers in [0, 1) per image.

    Columns as in OPERATIONS: four jitters (factors, identity 1; hue in turns, identity 0), grayscale 0 or 1, blur's
    sigma in pixels (0: none), solarize 0 or 1. A bank's views are targets with `jitter_p=1`.
    """
    u_BU = torch.as_tensor(u_BU, dtype=torch.float32)
    jittered_B = u_BU[:, 0] < config.jitter_p
    params_BP = identity(len(u_BU))
    for column, operation in enumerate(OPERATIONS.values()):
        value_B = operation.draw(u_BU[:, 1 + column], config)
        if operation.jitter:
            params_BP[:, column] = torch.where(jittered_B, value_B, operation.identity)
        elif view == "source":
            params_BP[:, column] = value_B
    return params_BP


def apply(x_BCHW: Tensor, params_BP: Tensor, *, config: PhotometricConfig) -> Tensor:
    """Return the transformed images; x in [0, 1], on any device, parameters on the host."""
    out_BCHW = x_BCHW.clone(memory_format=torch.contiguous_format)
    rows = max(1, CACHED_NUMBERS // out_BCHW[0].numel()) if out_BCHW.device.type == "cpu" else len(out_BCHW)
    for part_BCHW, part_BP in zip(out_BCHW.split(rows), params_BP.split(rows), strict=True):
        for operation, value_B in zip(OPERATIONS.values(), part_BP.unbind(1), strict=True):
            if bool((value_B != operation.identity).any()):
                operation.apply_(part_BCHW, value_B, config)
    return out_BCHW


def action(source_BP: Tensor, target_BP: Tensor, *, config: PhotometricConfig) -> Tensor:
    """Return a_BA from source to target, float32 on the host; zero if both are the identity."""
    columns = zip(OPERATIONS.values(), source_BP.unbind(1), target_BP.unbind(1), strict=True)
    return torch.stack(
        [operation.component(source_B, target_B, config) for operation, source_B, target_B in columns], 1
    )


def blur_kernel(config: PhotometricConfig, *, size: int) -> int:
    """Return the blur's kernel size for images of `size` pixels: as configured, or the odd number nearest to 10 %."""
    return config.blur_kernel or 2 * round((size / 10 - 1) / 2) + 1


def _factor(name: str, on_pixels_: Callable[[Tensor, Tensor], Tensor]) -> Operation:
    """A multiplicative jitter: brightness, contrast, saturation."""

    def maximum(config: PhotometricConfig) -> float:
        return getattr(config, f"{name}_max")

    def sample(u_B: Tensor, config: PhotometricConfig) -> Tensor:
        reach = maximum(config) * config.strength
        if config.factors == "log":
            return torch.exp((2 * u_B - 1) * math.log1p(reach))
        low = max(0.0, 1 - reach)
        return low + u_B * (1 + reach - low)

    def component(source_B: Tensor, target_B: Tensor, config: PhotometricConfig) -> Tensor:
        if config.factors == "log":
            return _share(target_B.log() - source_B.log(), maximum(config))
        return _share(target_B - source_B, maximum(config))

    def transform_(x_BCHW: Tensor, value_B: Tensor, config: PhotometricConfig) -> Tensor:
        return on_pixels_(x_BCHW, value_B)

    return Operation(jitter=True, identity=1.0, draw=sample, apply_=transform_, component=component)


def _draw_hue(u_B: Tensor, config: PhotometricConfig) -> Tensor:
    return (2 * u_B - 1) * min(0.5, config.hue_max * config.strength)


def _hue_(x_BCHW: Tensor, value_B: Tensor, config: PhotometricConfig) -> Tensor:
    if config.hue == "yiq":
        return pixels.hue_yiq_(x_BCHW, value_B)
    return pixels.on_rows_(x_BCHW, value_B, pixels.hue_hsv_)


def _draw_blur(u_B: Tensor, config: PhotometricConfig) -> Tensor:
    """Draw sigma from one number: u < p selects a blur, and u / p, which is then uniform, gives sigma."""
    share_B = u_B / max(config.blur_p, 1e-9)
    sigma_B = config.blur_sigma_min + share_B * (config.blur_sigma_max - config.blur_sigma_min)
    return torch.where(u_B < config.blur_p, sigma_B, 0)


def _blur_(x_BCHW: Tensor, value_B: Tensor, config: PhotometricConfig) -> Tensor:
    kernel = blur_kernel(config, size=x_BCHW.shape[-1])
    return pixels.on_rows_(x_BCHW, value_B, lambda x, sigma: pixels.blur_(x, sigma, kernel=kernel))


def _solarize_(x_BCHW: Tensor, value_B: Tensor, config: PhotometricConfig) -> Tensor:
    threshold = config.solarize_threshold
    return pixels.on_rows_(x_BCHW, value_B, lambda x, _: pixels.solarize_(x, threshold=threshold))


def _flag(source_B: Tensor, target_B: Tensor, config: PhotometricConfig) -> Tensor:
    return (source_B != 0).float()


def _share(difference_B: Tensor, maximum: float) -> Tensor:
    """Return difference / maximum; 0 if the maximum is 0."""
    return difference_B / maximum if maximum else torch.zeros_like(difference_B)


OPERATIONS: dict[str, Operation] = {
    "brightness": _factor("brightness", pixels.brightness_),
    "contrast": _factor("contrast", pixels.contrast_),
    "saturation": _factor("saturation", pixels.saturation_),
    "hue": Operation(
        jitter=True,
        identity=0.0,
        draw=_draw_hue,
        apply_=_hue_,
        component=lambda source_B, target_B, config: _share(target_B - source_B, config.hue_max),
    ),
    "grayscale": Operation(
        jitter=False,
        identity=0.0,
        draw=lambda u_B, config: (u_B < config.grayscale_p).float(),
        apply_=lambda x_BCHW, value_B, _: pixels.on_rows_(x_BCHW, value_B, lambda x, _: pixels.grayscale_(x)),
        component=_flag,
    ),
    "blur": Operation(jitter=False, identity=0.0, draw=_draw_blur, apply_=_blur_, component=_flag),
    "solarize": Operation(
        jitter=False,
        identity=0.0,
        draw=lambda u_B, config: (u_B < config.solarize_p).float(),
        apply_=_solarize_,
        component=_flag,
    ),
}
"""Every operation, in the order of application, of the parameters and of the action."""

ACTION_DIM = len(OPERATIONS)
UNIFORMS = 1 + len(OPERATIONS)
