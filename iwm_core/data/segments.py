"""Images with a class per pixel, for `segmentation`.

    digits_on_photos    11 classes: the background, and the digit that a pixel belongs to
    imagefolder         ADE20K's layout, `tune.classes` of them:
                        <root>/images/{training,validation}/*.jpg, <root>/annotations/{training,validation}/*.png
                        an annotation's 0 is no class and is left out; 1 is class 0, and so on

Crop and flip are those of the image; a class is that of the nearest pixel.

Shapes: N images of the set, B of a batch, C = 3 channels, S pixels of a crop.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from iwm_core.config import DataConfig
from iwm_core.data import datasets
from iwm_core.data.crops import Crops, centre_box, crop_boxes
from iwm_core.data.datasets import ImageDataset, ImageStack, Split
from iwm_core.data.imagefolder import EXTENSIONS, decoded, resampling
from iwm_core.errors import ConfigError, DataError

IGNORED = 255
"""The class of a pixel that has none."""

FOLDERS = {"train": "training", "test": "validation"}


class SegmentedImages(ImageDataset, Protocol):
    """A data set whose classes are those of its pixels."""

    def segments(self, indices: np.ndarray, crops: Crops | None, size: int) -> Tensor:
        """uint8 [B, S, S]: the class of each pixel of the crops, or of the centres, or `IGNORED`."""
        ...


def load(config: DataConfig, *, classes: int, split: Split, root: str) -> SegmentedImages:
    """Load the segmented images of the configuration; `classes` is `tune.classes`, for folders.

    Raises:
        ConfigError: images without segments, or a folder without a number of classes.
        DataError: missing images or annotations.
    """
    if config.kind == "imagefolder":
        return SegmentFolder(config, classes=classes, split=split, root=root)
    images = datasets.load(config, split=split, root=root)
    if not isinstance(images, ImageStack) or images.masks is None:
        known = ("digits_on_photos", "imagefolder")
        raise ConfigError.wrong(
            "data.kind", config.kind, f"has no segmentation labels; choose {' or '.join(known)}", choices=known
        )
    return SegmentedStack(images)


@dataclass(frozen=True, eq=False)
class SegmentedStack:
    """A stack with masks: class 0 is the background, class 1 + c an object of class c."""

    images: ImageStack

    @property
    def num_classes(self) -> int:
        return self.images.num_classes + 1

    @property
    def digest(self) -> str:
        return self.images.digest

    @property
    def labels(self) -> np.ndarray:
        return self.images.labels

    def __len__(self) -> int:
        return len(self.images)

    def crops(self, indices: np.ndarray, crops: Crops, size: int) -> Tensor:
        return self.images.crops(indices, crops, size)

    def centre(self, indices: Sequence[int] | np.ndarray, size: int) -> Tensor:
        return self.images.centre(indices, size)

    def segments(self, indices: np.ndarray, crops: Crops | None, size: int) -> Tensor:
        assert self.images.masks is not None
        class_BHW = self.images.masks[indices] * (1 + self.images.labels[indices])[:, None, None]
        height, width = class_BHW.shape[1:]
        box = centre_box(height=height, width=width) if crops is None else crop_boxes(crops, height=height, width=width)
        top_B, left_B, h_B, w_B = np.broadcast_to(box, (len(indices), 4)).T
        row_BS, column_BS = _nearest(top_B, h_B, size), _nearest(left_B, w_B, size)
        if crops is not None:
            column_BS = np.where(crops.flip_B[:, None], column_BS[:, ::-1], column_BS)
        each_B = np.arange(len(indices))[:, None, None]
        return torch.from_numpy(class_BHW[each_B, row_BS[:, :, None], column_BS[:, None, :]].astype(np.uint8))


class SegmentFolder:
    """Images and annotations of one split below `root`, in ADE20K's layout."""

    def __init__(self, config: DataConfig, *, classes: int, split: Split, root: str) -> None:
        """List the files without opening them.

        Raises:
            ConfigError: `classes` is not set.
            DataError: a missing folder or annotation.
        """
        if not 2 <= classes < IGNORED:
            why = f"is not the number of classes, 2 to {IGNORED - 1}, such as 150 for ADE20K"
            raise ConfigError.wrong("tune.classes", classes, why)
        self.num_classes = classes
        self._images, self._annotations = (_folder(root, kind, FOLDERS[split]) for kind in ("images", "annotations"))
        self.names = sorted(file.name for file in self._images.iterdir() if file.suffix.lower() in EXTENSIONS)
        if not self.names:
            raise DataError(
                f"no images in {self._images}; set resources.data_root to a folder in ADE20K's layout",
                setting="resources.data_root",
                path=self._images,
            )
        for name in self.names:
            if not self._annotation(name).is_file():
                raise DataError(
                    f"{self._images / name} has no annotation {self._annotation(name)}", path=self._annotation(name)
                )
        self._resample = resampling(config.interpolation)

    @property
    def digest(self) -> str:
        return hashlib.sha256("\n".join(self.names).encode()).hexdigest()

    @property
    def labels(self) -> np.ndarray:
        return np.zeros(len(self.names), dtype=np.int64)

    def __len__(self) -> int:
        return len(self.names)

    def crops(self, indices: np.ndarray, crops: Crops, size: int) -> Tensor:
        return torch.stack([self._image(int(index), crops.row(b), size=size) for b, index in enumerate(indices)])

    def centre(self, indices: Sequence[int] | np.ndarray, size: int) -> Tensor:
        return torch.stack([self._image(int(index), None, size=size) for index in indices])

    def segments(self, indices: np.ndarray, crops: Crops | None, size: int) -> Tensor:
        rows = [crops and crops.row(b) for b in range(len(indices))]
        return torch.stack([self._segment(int(i), row, size=size) for i, row in zip(indices, rows, strict=True)])

    def _annotation(self, name: str) -> Path:
        return self._annotations / f"{Path(name).stem}.png"

    def _image(self, index: int, crops: Crops | None, *, size: int) -> Tensor:
        file = self._images / self.names[index]
        try:
            return decoded(file, crops, size=size, resample=self._resample)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise DataError(f"{file} cannot be read: {error}", path=file) from error

    def _segment(self, index: int, crops: Crops | None, *, size: int) -> Tensor:
        file = self._annotation(self.names[index])
        try:
            with Image.open(file) as image:
                value_SS = _cropped(image, crops, size=size)
        except (OSError, SyntaxError, ValueError) as error:
            raise DataError(f"{file} cannot be read: {error}", path=file) from error
        if (most := int(value_SS.max())) > self.num_classes:
            raise DataError(
                f"{file} has class {most}, but tune.classes={self.num_classes} allows 0 to {self.num_classes - 1}",
                setting="tune.classes",
                value=self.num_classes,
                path=file,
            )
        return torch.from_numpy(np.where(value_SS == 0, IGNORED, value_SS.astype(np.int64) - 1).astype(np.uint8))


def _cropped(image: Image.Image, crops: Crops | None, *, size: int) -> np.ndarray:
    """Return the annotation's values in the crop, [S, S]."""
    width, height = image.size
    box = centre_box(height=height, width=width) if crops is None else crop_boxes(crops, height=height, width=width)
    top, left, h, w = box[0].tolist()
    around = (floor(left), floor(top), ceil(left + w), ceil(top + h))
    resized = np.array(image.crop(around).resize((size, size), Image.Resampling.NEAREST))
    if resized.ndim != 2:
        raise ValueError("an annotation has one channel")
    return resized[:, ::-1] if crops is not None and crops.flip_B[0] else resized


def _nearest(start_B: np.ndarray, length_B: np.ndarray, size: int) -> np.ndarray:
    """[B, S]: the stored pixel under the middle of each pixel of the crop."""
    middle_BS = start_B[:, None] + (np.arange(size) + 0.5) * (length_B / size)[:, None]
    return np.floor(middle_BS).astype(np.int64)


def _folder(root: str, kind: str, split: str) -> Path:
    if not root:
        raise DataError(
            f"segmentation on a folder needs resources.data_root, a folder that has {kind}/{split}",
            setting="resources.data_root",
            value=root,
        )
    folder = Path(root) / kind / split
    if not folder.is_dir():
        raise DataError(
            f"there is no folder {folder}; set resources.data_root to a folder in ADE20K's layout",
            setting="resources.data_root",
            path=folder,
        )
    return folder
