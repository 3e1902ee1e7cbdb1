r"""Handwritten digits on colourful crops of photographs: real images without a download.

    background = s min(1, 85 / l(s)),   s = clip(l + g (photo - l))          dark and saturated, luma at most 85
    canvas = (1 - alpha) background + alpha colour                           luma of the colour 185, opposite chroma

Symbols: l luma, g = 2 the gain of the chroma, alpha the digit's 8 x 8 grey levels / 16 enlarged to four fifths of the
canvas and centred; the colour's chroma points away from the background's mean chroma, as far as the cube allows.
Source: scikit-learn's 1,797 handwritten digits and its two bundled photographs. [OURS] Colour has to matter, or there
is nothing in a photometric action to predict; so only the more saturated half of the crops is used.

Held out for `test`: the last fifth of the digits (they are in the order of their writers) and the right quarter of each
photograph. Every digit appears on four backgrounds.

Shapes: N canvases, D digits, S side of a canvas, P positions of a crop.
"""

from typing import Literal, NamedTuple

import numpy as np
import torch
from torch.nn.functional import avg_pool2d, interpolate

from iwm_core.errors import ConfigError
from iwm_core.randomness import generator

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)[:, None, None]
BACKGROUND_LUMA, DIGIT_LUMA = 85, 185
CHROMA_GAIN = 2.0
COPIES = 4
STRIDE = 4  # pixels between two positions of a crop
SIZES = 2  # of each photograph
SECTORS = 3  # of the hue circle, for the label of the digit's colour

Split = Literal["train", "test"]


class Canvases(NamedTuple):
    """Images and their labels, int64 [N]."""

    image_NCSS: np.ndarray  # uint8
    digit_N: np.ndarray
    mask_NSS: np.ndarray  # bool: pixels of the digit
    photo_N: np.ndarray  # which of the two photographs is behind it
    colour_N: np.ndarray  # which of `SECTORS` sectors of the hue circle the digit's colour lies in


def digits_on_photos(*, split: Split, size: int) -> Canvases:
    """Generate the images of a split, the same at every call.

    Raises:
        ConfigError: canvases larger than the held-out part of the photographs, or smaller than a digit.
    """
    if not 10 <= size <= 80:
        raise ConfigError.wrong("data.stored_size", size, "must be between 10 and 80 for digits_on_photos")
    alpha_DSS, label_D = _digits(split, size)
    draws = generator(0, "data", step=("train", "test").index(split))
    background_NCSS, photo_N = _backgrounds(split, size, count=COPIES * len(label_D), draws=draws)
    alpha_NSS = np.tile(alpha_DSS, (COPIES, 1, 1))
    colour_NC11 = _opposite(background_NCSS.mean((2, 3), keepdims=True))
    canvas_NCSS = background_NCSS + alpha_NSS[:, None] * (colour_NC11 - background_NCSS)
    return Canvases(
        image_NCSS=np.floor(canvas_NCSS).astype(np.uint8),
        digit_N=np.tile(label_D, COPIES),
        mask_NSS=alpha_NSS > 0.5,
        photo_N=photo_N,
        colour_N=_sector(colour_NC11[:, :, 0, 0]),
    )


def _digits(split: Split, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Opacity [D, S, S] in [0, 1] and label [D] of the digits of a split."""
    from sklearn.datasets import load_digits

    images, labels = (np.asarray(part) for part in load_digits(return_X_y=True))
    held_out = len(labels) // 5
    part = slice(None, -held_out) if split == "train" else slice(-held_out, None)
    small = torch.from_numpy(images[part].reshape(-1, 1, 8, 8) / 16).float()
    side = round(0.8 * size)
    enlarged = interpolate(small, (side, side), mode="bilinear", align_corners=False)
    before = (size - side) // 2
    after = size - side - before
    return np.pad(enlarged[:, 0].numpy(), ((0, 0), (before, after), (before, after))), labels[part].astype(np.int64)


def _backgrounds(split: Split, size: int, *, count: int, draws: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """float32 [N, 3, S, S]: saturated windows of the split's part of the photographs, drawn uniformly; and whose."""
    pictures = [_darkened(picture) for picture in _pictures(split)]
    saturated = [_saturated(picture, size) for picture in pictures]
    picture_P = np.repeat(np.arange(len(pictures)), [len(positions) for positions in saturated])
    chosen_N = draws.integers(len(picture_P), size=count)
    position_N2 = np.concatenate(saturated)[chosen_N]
    out = np.empty((count, 3, size, size), dtype=np.float32)
    for number, picture in enumerate(pictures):
        windows = np.lib.stride_tricks.sliding_window_view(picture, (size, size), axis=(1, 2))
        mine = picture_P[chosen_N] == number
        out[mine] = windows[:, position_N2[mine, 0], position_N2[mine, 1]].swapaxes(0, 1)
    return out, picture_P[chosen_N] // SIZES


def _pictures(split: Split) -> list[np.ndarray]:
    """float32 [3, H, W]: the split's part of each photograph, at full and at half size, `SIZES` in all."""
    from sklearn.datasets import load_sample_images

    parts = []
    for photo in load_sample_images().images:
        edge = photo.shape[1] * 3 // 4
        part = photo[:, :edge] if split == "train" else photo[:, edge:]
        parts.append(torch.from_numpy(part.transpose(2, 0, 1).astype(np.float32)))
    return [picture.numpy() for part in parts for picture in (part, avg_pool2d(part, 2))]


def _darkened(picture: np.ndarray) -> np.ndarray:
    """Chroma amplified, luma brought to at most 85."""
    luma = (LUMA * picture).sum(0, keepdims=True)
    vivid = np.clip(luma + CHROMA_GAIN * (picture - luma), 0, 255)
    return vivid * np.minimum(1, BACKGROUND_LUMA / np.maximum((LUMA * vivid).sum(0), 1))


def _saturated(picture: np.ndarray, size: int) -> np.ndarray:
    """[P, 2] (top, left) of the windows whose mean saturation is at least the median."""
    spread = torch.from_numpy(picture.max(0) - picture.min(0))
    mean = avg_pool2d(spread[None], size, stride=STRIDE)[0].numpy()
    return np.argwhere(mean >= np.median(mean)) * STRIDE


def _sector(colour_NC: np.ndarray) -> np.ndarray:
    """Return the primary colour nearest to the hue: 0 red, 1 green, 2 blue."""
    red, green, blue = colour_NC.T
    angle_N = np.arctan2(3**0.5 * (green - blue), 2 * red - green - blue) / (2 * np.pi)
    return np.floor(SECTORS * ((angle_N + 1 / (2 * SECTORS)) % 1)).astype(np.int64).clip(0, SECTORS - 1)


def _opposite(mean_NC11: np.ndarray) -> np.ndarray:
    """Colours of luma 185 whose chroma points away from the given one, on the surface of the RGB cube."""
    away = (LUMA * mean_NC11).sum(1, keepdims=True) - mean_NC11
    room = np.where(away > 0, 255 - DIGIT_LUMA, DIGIT_LUMA) / np.maximum(np.abs(away), 1e-3)
    return DIGIT_LUMA + room.min(1, keepdims=True) * away
