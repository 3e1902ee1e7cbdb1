r"""Targets: the latents to predict, from an EMA of the encoder or from a frozen teacher.

    h = LN(t(y)),  h_i = h at position i              LN without parameters, if `objective.target_norm`

    target=ema             t = f_ema,  theta_ema <- m theta_ema + (1 - m) theta      after every optimiser step
    target=frozen:<name>   t = the patch latents of a timm model (`backbone`), which is not trained

Symbols: y the target view, theta the encoder's weights, m the momentum of the step. The whole view is encoded and then
indexed, so targets are contextual: masking the output instead of the input gains I-JEPA 11 points [C1 J2]. The
parameter-free LayerNorm is I-JEPA's code, not its paper [C1 J1]; whether IWM has it is unknown.

A frozen teacher cannot collapse, but the predictions can. The predictor's output is as wide as the teacher's latents.
Encoder and teacher must see the same grid of patches, since a latent belongs to a position. A checkpoint holds the
digest of the teacher's weights in place of the weights, and an attempt with other weights is refused. There is no
EMA of the encoder then, so evaluations use the trained encoder.

Shapes: B batch, C channels, H height, W width, N all patches, M targets, D width of the latents.
"""

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from iwm_core.config import TrialConfig
from iwm_core.errors import CheckpointError, ConfigError
from iwm_core.models.backbone import backbone, shape_of
from iwm_core.models.encoder import Encoder, gather
from iwm_core.tensors import sha256_of


@dataclass(frozen=True)
class Latents:
    """Target latents of every patch, [B, N, D]."""

    h_BND: Tensor

    def at(self, target_BM: Tensor) -> Tensor:
        """Return the latents at `target_BM`, [B, M, D]."""
        return gather(self.h_BND, index_BK=target_BM)


class Target(nn.Module, ABC):
    """Abstract: computes the targets. Evaluations use its `encoder`."""

    encoder: Encoder

    def __init__(self, *, normalise: bool) -> None:
        super().__init__()
        self.normalise = normalise

    @torch.no_grad()
    def forward(self, y_BCHW: Tensor) -> Latents:
        """Latents of every patch of the target view, in fp32, without gradient."""
        h_BND = self.latents(y_BCHW).float()
        return Latents(functional.layer_norm(h_BND, h_BND.shape[-1:]) if self.normalise else h_BND)

    @abstractmethod
    def latents(self, y_BCHW: Tensor) -> Tensor:
        """Latents of every patch, [B, N, D], before they are normalised."""

    @abstractmethod
    def update(self, encoder: Encoder, *, decay: float) -> None:
        """Update after an optimiser step; `decay` is the EMA momentum."""

    @abstractmethod
    def fingerprint(self) -> dict[str, Any]:
        """Return what the targets depend on beside the configuration and the checkpoint."""


@final
class MovingAverage(Target):
    """f_ema: an exponential moving average of the encoder, without gradient."""

    def __init__(self, encoder: Encoder, *, normalise: bool) -> None:
        super().__init__(normalise=normalise)
        self.encoder = copy.deepcopy(encoder).requires_grad_(False).eval()

    def latents(self, y_BCHW: Tensor) -> Tensor:
        return self.encoder(y_BCHW)

    @torch.no_grad()
    def update(self, encoder: Encoder, *, decay: float) -> None:
        """Move every weight by the fraction 1 - `decay` towards the encoder's."""
        moved, towards = tuple(self.encoder.parameters()), tuple(encoder.parameters())
        torch._foreach_lerp_(moved, towards, 1 - decay)  # pyright: ignore[reportPrivateImportUsage]

    def fingerprint(self) -> dict[str, Any]:
        return {}


@final
class FrozenTeacher(Target):
    """A timm model that is not trained."""

    digest: Tensor

    def __init__(self, encoder: Encoder, config: TrialConfig, *, weights_file: str) -> None:
        """Load the teacher, or draw its weights from the trial's seed; keeps the global random state.

        `encoder` is the trained one.

        Raises:
            ConfigError: there is no such model, its weights cannot be read, or its patches are not the encoder's.
        """
        super().__init__(normalise=config.objective.target_norm)
        check_grid(config)
        object.__setattr__(self, "encoder", encoder)  # not a submodule: the networks own and save it
        weights = config.evaluate.weights
        teacher = backbone(config, name=config.teacher, weights=weights, weights_file=weights_file, stream="teacher")
        self.teacher = teacher.requires_grad_(False).eval()
        digest = bytearray.fromhex(sha256_of(self.teacher.state_dict()))
        self.register_buffer("digest", torch.frombuffer(digest, dtype=torch.uint8))

    def latents(self, y_BCHW: Tensor) -> Tensor:
        return self.teacher(y_BCHW)

    def update(self, encoder: Encoder, *, decay: float) -> None:
        """Does nothing."""

    def fingerprint(self) -> dict[str, Any]:
        return {"teacher": bytes(self.digest.tolist()).hex()}

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Return the digest of the teacher's weights; the weights themselves are not saved."""
        return {"digest": self.digest}

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Compare the digest of a checkpoint with this teacher's.

        Raises:
            CheckpointError: they differ.
        """
        if not torch.equal(state_dict["digest"].cpu(), self.digest.cpu()):
            raise CheckpointError(
                "the checkpoint was trained with other teacher weights: set resources.weights_file to the file that "
                "was used then",
                setting="resources.weights_file",
            )


def width_of_targets(config: TrialConfig) -> int:
    """Return the width of the target latents: the teacher's if there is one, else the encoder's."""
    if not config.teacher:
        return config.encoder.width
    return shape_of(config.teacher, image_size=config.data.image_size).width


def check_grid(config: TrialConfig) -> None:
    """Check that teacher and encoder see the same grid of patches.

    Raises:
        ConfigError: they do not; with the setting to change.
    """
    patches = shape_of(config.teacher, image_size=config.data.image_size).patches
    if patches == config.grid**2:
        return
    side = math.isqrt(patches)
    fits = side and side**2 == patches and config.data.image_size % side == 0
    remedy = f"set encoder.patch_size={config.data.image_size // side}" if fits else "choose another teacher"
    raise ConfigError(
        f"target={config.target} sees {patches} patches of an image of data.image_size={config.data.image_size}, the "
        f"encoder {config.grid**2} of encoder.patch_size={config.encoder.patch_size}: {remedy}",
        setting="encoder.patch_size" if fits else "target",
        value=config.encoder.patch_size if fits else config.target,
        choices=[config.data.image_size // side] if fits else (),
    )
