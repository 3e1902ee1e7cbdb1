r"""A frozen teacher in place of the moving average: `target=frozen:<timm name>`.

    h = LN(t(y)),  h_i = h at position i           LN without parameters, if `objective.target_norm`

Symbols: t the latents of patches of any timm model (models/backbone.py), y the target view. Nothing moves it, so it
cannot collapse; what can is the prediction. The predictor's output is as wide as the teacher's latents. Encoder and
teacher must see the same grid of patches, since a latent belongs to a position.

The weights of the teacher are no part of a checkpoint: their digest is, and an attempt with others is refused. Whatever
evaluates the target's encoder is given the encoder that is trained, of which no average is kept.

Shapes: B batch, C channels, H height, W width, N patches, D the teacher's width.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from iwm_core.config import TrialConfig
from iwm_core.errors import CheckpointError, ConfigError
from iwm_core.models.backbone import backbone, shape_of
from iwm_core.models.encoder import Encoder
from iwm_core.training.digest import sha256_of
from iwm_core.training.ema import TargetEncoder


class FrozenTeacher(TargetEncoder):
    """A target encoder that stays as it is."""

    digest: Tensor

    def __init__(self, encoder: Encoder, config: TrialConfig, *, weights_file: str) -> None:
        """Loads the teacher, or draws its weights from the trial's seed; the global random state is left as it was.

        Raises:
            ConfigError: there is no such model, its weights cannot be read, or its patches are not the encoder's.
        """
        nn.Module.__init__(self)
        check_grid(config)
        self.__dict__["encoder"] = encoder  # beside the modules: it is the trained one, and kept with what is trained
        self.normalise = config.objective.target_norm
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
        """The digest of the teacher's weights; they come from where they came from before."""
        return {"digest": self.digest}

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Holds the digest of a checkpoint against that of this teacher.

        Raises:
            CheckpointError: they differ.
        """
        if not torch.equal(state_dict["digest"].cpu(), self.digest.cpu()):
            raise CheckpointError(
                "the checkpoint was trained with a teacher of other weights: go on with those that evaluate.weights "
                "named then, in resources.weights_file"
            )


def check_grid(config: TrialConfig) -> None:
    """Refuses a teacher whose patches are not those of the encoder.

    Raises:
        ConfigError: names the settings to change.
    """
    patches = shape_of(config.teacher, image_size=config.data.image_size).patches
    if patches == config.grid**2:
        return
    side = math.isqrt(patches)
    fits = side and side**2 == patches and config.data.image_size % side == 0
    remedy = f"set encoder.patch_size={config.data.image_size // side}" if fits else "choose another teacher"
    raise ConfigError(
        f"target={config.target} sees {patches} patches of an image of data.image_size={config.data.image_size}, the "
        f"encoder {config.grid**2} of encoder.patch_size={config.encoder.patch_size}: {remedy}"
    )
