"""An encoder as a file that timm loads.

    timm.create_model("vit_base_patch16_224", checkpoint_path=FILE, class_token=False, global_pool="avg", fc_norm=False,
                      num_classes=0, ...)

gives the same latents from `forward_features`, and their mean over positions when it is called. Images are normalised
with ImageNet's mean and deviation, as in `data.views`.
"""

import contextlib
import os
from pathlib import Path
from typing import Any

import torch

from iwm_core.config import TrialConfig
from iwm_core.errors import ConfigError
from iwm_core.models.encoder import Encoder

SIZES = {
    (192, 12, 3): "vit_tiny_patch16_224",
    (384, 12, 6): "vit_small_patch16_224",
    (768, 12, 12): "vit_base_patch16_224",
    (1024, 24, 16): "vit_large_patch16_224",
    (1280, 32, 16): "vit_huge_patch14_224",
}
"""(width, depth, heads) -> timm's name of the model."""

WITHOUT_TOKEN: dict[str, Any] = {"class_token": False, "global_pool": "avg", "fc_norm": False, "num_classes": 0}
"""Arguments by which the encoder differs from timm's model."""


def timm_model(config: TrialConfig) -> tuple[str, dict[str, Any]]:
    """Return timm's name of the encoder's model, and the other arguments."""
    shape = config.encoder
    name = SIZES.get((shape.width, shape.depth, shape.heads), "vit_base_patch16_224")
    given: dict[str, Any] = {"img_size": config.data.image_size, "patch_size": shape.patch_size}
    if (shape.width, shape.depth, shape.heads) not in SIZES:
        given |= {"embed_dim": shape.width, "depth": shape.depth, "num_heads": shape.heads}
    if shape.mlp_ratio != 4:
        given["mlp_ratio"] = shape.mlp_ratio
    return name, {**WITHOUT_TOKEN, **given}


def create_line(config: TrialConfig, *, file: Path) -> str:
    """Return the line of Python that loads the file."""
    name, given = timm_model(config)
    arguments = "".join(f", {key}={value!r}" for key, value in given.items())
    return f'timm.create_model("{name}", checkpoint_path={str(file)!r}{arguments})'


def write(encoder: Encoder, *, file: Path) -> None:
    """Write the encoder's weights under timm's names; the file is complete or absent.

    Raises:
        ConfigError: the file cannot be written.
    """
    temporary = file.with_name(f"{file.name}.tmp")
    weights = {name: value.detach().cpu().clone() for name, value in encoder.vit.state_dict().items()}
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        torch.save(weights, temporary)
        os.replace(temporary, file)
    except (OSError, RuntimeError) as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise ConfigError(f"cannot write {file}: {error}", path=file) from error
