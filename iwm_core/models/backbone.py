r"""Any timm model as an encoder of patches, with public weights or random ones.

    z = f(x),   [B, N, D]        tokens without class and register tokens, or the cells of the last feature map

Source: timm's `create_model` and `forward_features` [timm 1.0.31], by public attributes only. The model keeps its own
last norm and its own normalisation of colours: images come with ImageNet's and are given the model's where it differs.
It always sees the whole image, so it can be evaluated and be a teacher, and is never masked.

Shapes: B batch, C channels, H height, W width, N patches or cells in raster order, K of them, D width.
"""

import difflib
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, final

import timm
import torch
from timm.models import load_checkpoint
from torch import Tensor, nn

from iwm_core.config import TrialConfig
from iwm_core.data.views import MEAN, STD
from iwm_core.errors import ConfigError
from iwm_core.models.encoder import Encoder, gather
from iwm_core.randomness import torch_seed
from iwm_core.tensors import seeded

TIMM = "timm:"
"""Prefix of `pretrain` for a timm model."""

PRETRAINED = "pretrained"
"""Value of `evaluate.weights` for timm's own weights."""


@final
class Backbone(Encoder):
    """A timm model as an encoder; the model is `vit`, whatever its architecture."""

    _scale_C11: Tensor | None
    _shift_C11: Tensor | None

    def __init__(self, model: nn.Module, *, image_size: int) -> None:
        """Take ownership of the model, and run it once on an empty image to get its output shape."""
        super().__init__()
        self.vit = _sized(model, image_size)
        self._prefix = int(getattr(model, "num_prefix_tokens", 0))
        for name, value_C in zip(("_scale_C11", "_shift_C11"), _recolouring(model), strict=True):
            self.register_buffer(name, value_C, persistent=False)
        with torch.no_grad():
            tokens_1ND = self.eval()(torch.zeros(1, 3, image_size, image_size))
        self.width = tokens_1ND.shape[-1]
        self.patch_size = round(image_size / tokens_1ND.shape[1] ** 0.5)

    def forward(self, x_BCHW: Tensor, *, keep_BK: Tensor | None = None) -> Tensor:
        found = self.vit.forward_features(self._recoloured(x_BCHW))
        z_BND = tokens(found, width=int(self.vit.num_features), prefix=self._prefix)
        return z_BND if keep_BK is None else gather(z_BND, index_BK=keep_BK)

    def _recoloured(self, x_BCHW: Tensor) -> Tensor:
        if self._scale_C11 is None or self._shift_C11 is None:
            return x_BCHW
        return x_BCHW * self._scale_C11 + self._shift_C11


class Shape(NamedTuple):
    """Shape of a model's latents of one image."""

    patches: int
    width: int


@lru_cache(maxsize=64)
def shape_of(name: str, *, image_size: int) -> Shape:
    """Return the shape of the latents of images of this size, without computing them (`meta` device).

    Raises:
        ConfigError: timm has no such model, or it cannot take these images.
    """
    with torch.device("meta"):  # where tensors have shapes and no numbers
        model = Backbone(_made(name, pretrained=False), image_size=image_size)
        with torch.no_grad():
            return Shape(*model(torch.zeros(1, 3, image_size, image_size)).shape[1:])


def backbone(
    config: TrialConfig, *, name: str, weights: str, weights_file: str = "", stream: str = "weights"
) -> Backbone:
    """Build the timm model `name` on the CPU; with empty `weights` it draws them from `stream` of the trial's seed.

    Raises:
        ConfigError: timm has no such model, it cannot take these images, or the weights are not its own.
    """
    if weights and weights != PRETRAINED and not weights_file:
        raise ConfigError(
            f"evaluate.weights={weights} names weights of {name}: set resources.weights_file to their file",
            setting="resources.weights_file",
            value=weights_file,
        )
    with seeded(torch_seed(config.seed, stream)):
        model = _made(name, pretrained=weights == PRETRAINED)
    if weights and weights != PRETRAINED:
        load_weights(model, weights_file, name=name)
    return Backbone(model, image_size=config.data.image_size)


def load_weights(model: nn.Module, file: str, *, name: str) -> None:
    """Load the weights of `file`, in any format that timm reads, into the model called `name`.

    Raises:
        ConfigError: the file is missing, or has weights of another architecture.
    """
    if not Path(file).is_file():
        raise ConfigError(
            f"there is no file {file}: set resources.weights_file to the weights of {name}",
            setting="resources.weights_file",
            path=file,
        )
    try:
        missing, _ = load_checkpoint(model, file, strict=False) or ((), ())
    except (RuntimeError, KeyError, ValueError, OSError) as error:
        raise _foreign(file, name) from error
    needed = [key for key in missing if not key.startswith(("head.", "fc.", "classifier."))]
    if needed:
        raise _foreign(file, name, f" It lacks {needed[0]}.")


def tokens(found: Tensor, *, width: int, prefix: int) -> Tensor:
    """Return a timm model's output as [B, N, D]: tokens without the first `prefix`, or the cells of its feature map."""
    if found.dim() == 3:
        return found[:, prefix:]
    channels_last_BHWD = found if found.shape[1] != width else found.permute(0, 2, 3, 1)
    return channels_last_BHWD.flatten(1, 2)


def _made(name: str, *, pretrained: bool) -> nn.Module:
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models(), n=3)
        raise ConfigError(
            f"timm has no model {name!r}; " + (f"similar: {', '.join(near)}" if near else "see timm.list_models()"),
            value=name,
            choices=near,
        )
    try:
        return timm.create_model(name, pretrained=pretrained, num_classes=0)
    except (OSError, RuntimeError) as error:
        raise ConfigError(
            f"timm cannot load its pretrained weights of {name} ({_brief(error)}); download them and name"
            " them with evaluate.weights and resources.weights_file",
            setting="evaluate.weights",
            value=name,
        ) from error


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _sized(model: Any, image_size: int) -> nn.Module:
    """Adapt the model to images of this size: interpolates a transformer's positions.

    Raises:
        ConfigError: the model cannot take this size.
    """
    name, resize, patch = type(model).__name__, getattr(model, "set_input_size", None), _patch(model)
    if image_size % patch:
        raise ConfigError.wrong("data.image_size", image_size, f"is not a multiple of {name}'s patch size {patch}")
    try:
        if resize is not None:
            resize(img_size=image_size)
        with torch.no_grad():
            model.eval().forward_features(torch.zeros(1, 3, image_size, image_size))
    except (AssertionError, RuntimeError, ValueError) as error:
        raise ConfigError.wrong("data.image_size", image_size, f"does not fit {name}: {_brief(error)}") from error
    return model


def _patch(model: Any) -> int:
    """Return the side of a transformer's patch in pixels; 1 for other models."""
    size = getattr(getattr(model, "patch_embed", None), "patch_size", 1)
    return int(size[0] if isinstance(size, tuple | list) else size)


def _recolouring(model: nn.Module) -> tuple[Tensor | None, Tensor | None]:
    """Return factor and offset from ImageNet's normalisation to the model's, [C, 1, 1]; None if equal."""
    known = getattr(model, "pretrained_cfg", {})
    mean, std = tuple(known.get("mean", MEAN)), tuple(known.get("std", STD))
    if (mean, std) == (MEAN, STD) or len(mean) != len(MEAN):
        return None, None
    scale = [ours / theirs for ours, theirs in zip(STD, std, strict=True)]
    shift = [(ours - theirs) / s for ours, theirs, s in zip(MEAN, mean, std, strict=True)]
    return torch.tensor(scale)[:, None, None], torch.tensor(shift)[:, None, None]


def _foreign(file: str, name: str, more: str = "") -> ConfigError:
    return ConfigError(
        f"{file} has weights of another architecture than {name}: change the model or resources.weights_file.{more}",
        setting="resources.weights_file",
        path=file,
    )
