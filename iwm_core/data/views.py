"""The two views of a crop: source x and target y, and the action a from x to y.

    x = T(I; p),   y = T(I; q),   a = action(p, q)        p ~ jitter and destructive, q ~ jitter alone

Source: IWM [C2]; crop and flip are already common to both views, so the action is photometric alone. Both views leave
in ImageNet's normalisation, after the last clamp. Symbols and deviations: photometric.py.

Shapes: B images, C = 3 channels, H and W pixels, A components of the action.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from iwm_core.config import TrialConfig
from iwm_core.data import photometric
from iwm_core.randomness import uniform
from iwm_core.tensors import onto

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Views:
    """Source, target (both normalised) and the action that leads from one to the other, on the images' device."""

    x_BCHW: Tensor
    y_BCHW: Tensor
    a_BA: Tensor


def make_views(image_BCHW: Tensor, config: TrialConfig, step: int, *, first: int = 0) -> Views:
    """The views of uint8 crops of `step`, samples `first`, ... of its batch: a function of (seed, step, sample)."""
    shape = (first + len(image_BCHW), photometric.UNIFORMS)
    p_BP = photometric.draw(config.photometric, uniform(config.seed, "source", step, shape)[first:], view="source")
    q_BP = photometric.draw(config.photometric, uniform(config.seed, "target", step, shape)[first:], view="target")
    image_BCHW = to_unit(image_BCHW)
    x_BCHW, y_BCHW = (photometric.apply(image_BCHW, params, config=config.photometric) for params in (p_BP, q_BP))
    a_BA = onto(photometric.action(p_BP, q_BP, config=config.photometric), image_BCHW.device)
    return Views(_normalise_(x_BCHW), _normalise_(y_BCHW), a_BA)


def clean(image_BCHW: Tensor) -> Tensor:
    """Return uint8 images as normalised float32, untransformed."""
    return _normalise_(to_unit(image_BCHW))


def to_unit(image_BCHW: Tensor) -> Tensor:
    """uint8 as float32 in [0, 1]."""
    return image_BCHW.float().div_(255)


def normalise(x_BCHW: Tensor) -> Tensor:
    """[0, 1] to ImageNet's mean 0 and deviation 1, per channel."""
    return _normalise_(x_BCHW.clone())


def _normalise_(x_BCHW: Tensor) -> Tensor:
    mean_1C11, std_1C11 = _statistics(x_BCHW.device)
    return x_BCHW.sub_(mean_1C11).div_(std_1C11)


@lru_cache
def _statistics(device: torch.device) -> tuple[Tensor, Tensor]:
    return torch.tensor(MEAN, device=device).view(1, 3, 1, 1), torch.tensor(STD, device=device).view(1, 3, 1, 1)
