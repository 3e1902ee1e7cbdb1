r"""The random crop and flip that both views share, and the centre crop of evaluation.

    area = H W U(a_min, a_max)    r = exp U(log r_min, log r_max)    height = sqrt(area / r)    width = sqrt(area r)

Symbols: H, W the image's pixels, a the share that is kept, r the aspect ratio (width / height). The first of ten draws
that fits the image is taken; if none fits, the largest centred crop within the aspect's bounds. Source: torchvision's
RandomResizedCrop; area 0.3 to 1 as I-JEPA [C1], flip 0.5 [C2]. The centre crop is ImageNet's 224 of 256 [C1].

Numbers are drawn before any image is opened, so that a crop is a function of (seed, step, sample) alone.

Shapes: B images, T = 10 draws; boxes `_B4` are (top, left, height, width) in whole pixels.
"""

from dataclasses import dataclass

import numpy as np

from iwm_core.config import DataConfig
from iwm_core.randomness import uniform

TRIES = 10
CENTRE_SHARE = 224 / 256


@dataclass(frozen=True, kw_only=True)
class Crops:
    """The random draws of a batch, which determine each crop given the image's size."""

    area_BT: np.ndarray  # share of the image
    aspect_BT: np.ndarray  # width / height
    corner_B2: np.ndarray  # position within the image: 0 top left, 1 bottom right
    flip_B: np.ndarray  # bool
    aspect_bounds: tuple[float, float]

    def row(self, sample: int) -> "Crops":
        """Return the draws of one sample, as a batch of one."""
        return self.rows(slice(sample, sample + 1))

    def rows(self, keep: slice) -> "Crops":
        """Return the draws of some samples."""
        return Crops(
            area_BT=self.area_BT[keep],
            aspect_BT=self.aspect_BT[keep],
            corner_B2=self.corner_B2[keep],
            flip_B=self.flip_B[keep],
            aspect_bounds=self.aspect_bounds,
        )


def draw_crops(config: DataConfig, *, seed: int, step: int, batch: int) -> Crops:
    """Draw the crops and flips of `batch` samples at `step`."""
    u_BU = uniform(seed, "crop", step, (batch, 2 * TRIES + 3)).astype(np.float64)
    low, high = np.log(config.crop_aspect_min), np.log(config.crop_aspect_max)
    return Crops(
        area_BT=config.crop_area_min + u_BU[:, :TRIES] * (config.crop_area_max - config.crop_area_min),
        aspect_BT=np.exp(low + u_BU[:, TRIES : 2 * TRIES] * (high - low)),
        corner_B2=u_BU[:, -3:-1],
        flip_B=u_BU[:, -1] < config.flip_p,
        aspect_bounds=(config.crop_aspect_min, config.crop_aspect_max),
    )


def crop_boxes(crops: Crops, *, height: int, width: int) -> np.ndarray:
    """Return box_B4 of each crop on images of this size."""
    h_BT = np.round(np.sqrt(crops.area_BT * height * width / crops.aspect_BT))
    w_BT = np.round(np.sqrt(crops.area_BT * height * width * crops.aspect_BT))
    fits_BT = (h_BT >= 1) & (h_BT <= height) & (w_BT >= 1) & (w_BT <= width)
    first_B1 = fits_BT.argmax(1)[:, None]
    extent_B2 = np.concatenate([np.take_along_axis(side, first_B1, 1) for side in (h_BT, w_BT)], 1)
    play_B2 = np.array([height, width]) - extent_B2 + 1
    drawn_B4 = np.concatenate([np.floor(crops.corner_B2 * play_B2), extent_B2], 1)
    widest = _widest(height=height, width=width, bounds=crops.aspect_bounds)
    return np.where(fits_BT.any(1, keepdims=True), drawn_B4, widest).astype(np.int64)


def centre_box(*, height: int, width: int, share: float = CENTRE_SHARE) -> np.ndarray:
    """Return the centred square with `share` of the shorter side, as one row [1, 4]."""
    side = max(1, round(share * min(height, width)))
    return np.array([[(height - side) // 2, (width - side) // 2, side, side]])


def _widest(*, height: int, width: int, bounds: tuple[float, float]) -> np.ndarray:
    """Return the largest centred box whose aspect ratio is within the bounds."""
    h = min(height, round(width / bounds[0]))
    w = min(width, round(height * bounds[1]))
    return np.array([(height - h) // 2, (width - w) // 2, h, w])
