"""Labelled images that can be cropped: the table of data sets, and the data set in memory.

A data set has a length and labels, and returns crops as uint8. It draws nothing at random: the loader chooses images
(by index) and crops, so the input of a training step is a function of (seed, step).

Shapes: N images of the set, B of a batch, C = 3 channels, H and W stored pixels, S pixels of a crop.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from iwm_core.config import DataConfig, check_range
from iwm_core.data.crops import Crops, centre_box, crop_boxes
from iwm_core.data.digits import digits_on_photos
from iwm_core.data.imagefolder import ImageFolder
from iwm_core.data.resampling import Interpolation, resize_crops
from iwm_core.errors import ConfigError
from iwm_core.randomness import generator

Split = Literal["train", "test"]


class ImageDataset(Protocol):
    """The interface of a data set for training and evaluation."""

    @property
    def labels(self) -> np.ndarray:
        """int64 [N]."""
        ...

    @property
    def num_classes(self) -> int:
        """Labels are in 0 to num_classes - 1."""
        ...

    @property
    def digest(self) -> str:
        """A hash of the pixels, or of the file names: part of an attempt's fingerprint."""
        ...

    def __len__(self) -> int: ...

    def crops(self, indices: np.ndarray, crops: Crops, size: int) -> Tensor:
        """uint8 [B, C, S, S]: crop b of image `indices[b]`."""
        ...

    def centre(self, indices: Sequence[int] | np.ndarray, size: int) -> Tensor:
        """uint8 [B, C, S, S]: the centre of each image, for evaluation."""
        ...


@dataclass(frozen=True, eq=False)
class ImageStack:
    """Images of one size, in memory.

    `masks` marks the pixels of the object, and `tasks` has further labels [N] by name; both are optional.
    """

    image_NCHW: Tensor
    labels: np.ndarray
    num_classes: int
    interpolation: Interpolation
    masks: np.ndarray | None = None
    tasks: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def digest(self) -> str:
        """sha256 of pixels and labels, computed at every call."""
        return hashlib.sha256(self.image_NCHW.numpy().tobytes() + self.labels.tobytes()).hexdigest()

    def crops(self, indices: np.ndarray, crops: Crops, size: int) -> Tensor:
        """uint8 [B, C, S, S]: crop b of image `indices[b]`."""
        return self._resized(indices, crop_boxes(crops, **self._stored), size=size, flip_B=crops.flip_B)

    def centre(self, indices: Sequence[int] | np.ndarray, size: int) -> Tensor:
        """uint8 [B, C, S, S]: the centre of each image."""
        return self._resized(indices, centre_box(**self._stored), size=size)

    @property
    def _stored(self) -> dict[str, int]:
        return dict(zip(("height", "width"), self.image_NCHW.shape[2:], strict=True))

    def _resized(
        self, indices: Sequence[int] | np.ndarray, box_B4: np.ndarray, *, size: int, flip_B: np.ndarray | None = None
    ) -> Tensor:
        image_BCHW = self.image_NCHW[torch.from_numpy(np.asarray(indices))]
        return resize_crops(image_BCHW, box_B4, size=size, interpolation=self.interpolation, flip_B=flip_B)


def load(config: DataConfig, *, split: Split, root: str = "") -> ImageDataset:
    """Load the data set of the configuration; `root` is the folder of `imagefolder`, otherwise unused.

    Raises:
        ConfigError: settings of `data` that cannot work.
        DataError: missing images.
    """
    _check(config)
    return DATASETS[config.kind](config, split, root)


def _digits(config: DataConfig, split: Split, root: str) -> ImageStack:
    made = digits_on_photos(split=split, size=config.stored_size)
    tasks = {"digit": made.digit_N, "photo": made.photo_N, "colour": made.colour_N}
    return ImageStack(torch.from_numpy(made.image_NCSS), made.digit_N, 10, config.interpolation, made.mask_NSS, tasks)


def _folder(config: DataConfig, split: Split, root: str) -> ImageFolder:
    return ImageFolder(
        root, split=split, interpolation=config.interpolation, max_corrupt_files=config.max_corrupt_files
    )


def _noise(config: DataConfig, split: Split, root: str) -> ImageStack:
    source = generator(0, "data", step=("train", "test").index(split))
    shape = (config.random_images, 3, config.stored_size, config.stored_size)
    image_NCHW = torch.from_numpy(source.integers(256, size=shape, dtype=np.uint8))
    return ImageStack(image_NCHW, source.integers(10, size=len(image_NCHW)), 10, config.interpolation)


def _check(config: DataConfig) -> None:
    check_range(config, "data.crop_area", most=1.0)
    check_range(config, "data.crop_aspect")
    for name in ("image_size", "stored_size", "random_images"):
        if (count := getattr(config, name)) < 1:
            raise ConfigError.wrong(f"data.{name}", count, "must be at least 1")


DATASETS: dict[str, Callable[[DataConfig, Split, str], ImageDataset]] = {
    "digits_on_photos": _digits,
    "imagefolder": _folder,
    "random": _noise,
}
