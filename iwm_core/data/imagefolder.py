"""A folder of images, one subfolder per class: ImageNet's layout.

    root/train/<class>/*.jpg      root/val/<class>/*.jpg (or root/test)         .jpg .jpeg .png .webp, any case

Files are decoded with Pillow when they are needed, crop and resize in one step; a JPEG is decoded at a reduced size
where at least twice the output's pixels remain. The EXIF orientation is ignored, as in torchvision's ImageFolder. A
file that cannot be read is named, counted and replaced by the next readable one of its class. So the image
at an index depends on the files alone. The count is shared by all loader processes.

Shapes: N files, B images of a batch, C = 3 channels, S pixels of a crop.
"""

import hashlib
import logging
import os
from collections.abc import Sequence
from math import ceil, floor
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from iwm_core.data.crops import Crops, centre_box, crop_boxes
from iwm_core.errors import DataError

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp")
FOLDERS = {"train": ("train",), "test": ("val", "test")}

_RESAMPLING = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}

log = logging.getLogger(__name__)


class ImageFolder:
    """The images of one split below `root`."""

    def __init__(
        self, root: str, *, split: Literal["train", "test"], interpolation: str, max_corrupt_files: int
    ) -> None:
        """List the files without opening them.

        Raises:
            DataError: no such folder, or a class without images.
        """
        self.folder = _find(root, split)
        self.classes = _classes(self.folder)
        files = [_files(self.folder / name) for name in self.classes]
        self.names = [f"{name}/{file}" for name, inside in zip(self.classes, files, strict=True) for file in inside]
        self.labels = np.repeat(np.arange(len(files)), [len(inside) for inside in files]).astype(np.int64)
        self.max_corrupt_files = max_corrupt_files
        self._first = np.searchsorted(self.labels, np.arange(len(files) + 1))
        self._resample = resampling(interpolation)
        self._corrupt_N = torch.zeros(len(self.names), dtype=torch.bool).share_memory_()

    def __len__(self) -> int:
        return len(self.names)

    @property
    def num_classes(self) -> int:
        return len(self.classes)

    @property
    def corrupt(self) -> list[str]:
        """Unreadable files found so far by any loader process."""
        return [self.names[index] for index in self._corrupt_N.nonzero().flatten().tolist()]

    @property
    def digest(self) -> str:
        """SHA-256 of the sorted relative names: detects a changed folder without a million `stat` calls."""
        return hashlib.sha256("\n".join(self.names).encode()).hexdigest()

    def crops(self, indices: np.ndarray, crops: Crops, size: int) -> Tensor:
        """uint8 [B, C, S, S]: crop b of image `indices[b]`."""
        return torch.stack([self._crop(int(index), crops.row(b), size=size) for b, index in enumerate(indices)])

    def centre(self, indices: Sequence[int] | np.ndarray, size: int) -> Tensor:
        """uint8 [B, C, S, S]: the centre of each image."""
        return torch.stack([self._crop(int(index), None, size=size) for index in indices])

    def _crop(self, index: int, crops: Crops | None, *, size: int) -> Tensor:
        """Return the crop of the first readable file of the class, starting at `index` and wrapping around."""
        first, end = self._first[self.labels[index] : self.labels[index] + 2]
        for candidate in [*range(index, end), *range(first, index)]:
            try:
                return decoded(self.folder / self.names[candidate], crops, size=size, resample=self._resample)
            except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
                self._skip(candidate, error)
        folder = self.folder / self.classes[self.labels[index]]
        raise DataError(f"no readable image in {folder}", path=folder)

    def _skip(self, index: int, error: Exception) -> None:
        """Count an unreadable file once.

        Raises:
            DataError: more of them than `max_corrupt_files`.
        """
        if self._corrupt_N[index]:
            return
        self._corrupt_N[index] = True
        count, most = int(self._corrupt_N.sum()), self.max_corrupt_files
        file = self.folder / self.names[index]
        reason = str(error).replace(f" '{file}'", "")
        if count > most:
            raise DataError(
                f"{count} unreadable images, the last {file} ({reason}); data.max_corrupt_files={most} allows {most}",
                setting="data.max_corrupt_files",
                value=most,
                path=file,
            ) from error
        log.warning("skipped unreadable image %s (%d of at most %d): %s", file, count, most, reason)


def resampling(interpolation: str) -> Image.Resampling:
    """Return Pillow's filter."""
    return _RESAMPLING[interpolation]


def decoded(path: Path, crops: Crops | None, *, size: int, resample: Image.Resampling) -> Tensor:
    """uint8 [C, S, S]: the crop (None: the centre) of the image in `path`."""
    with Image.open(path) as image:
        width, height = image.size
        box_14 = (
            centre_box(height=height, width=width) if crops is None else crop_boxes(crops, height=height, width=width)
        )
        top, left, h, w = box_14[0].tolist()
        if min(h, w) >= 2 * size:
            image.draft("RGB", (width * 2 * size // w, height * 2 * size // h))
        across, down = image.size[0] / width, image.size[1] / height
        x0, y0, x1, y1 = left * across, top * down, (left + w) * across, (top + h) * down
        part = image.crop((floor(x0), floor(y0), ceil(x1), ceil(y1))).convert("RGB")  # a filter sees the crop alone
        box = (x0 - floor(x0), y0 - floor(y0), x1 - floor(x0), y1 - floor(y0))
        resized = part.resize((size, size), resample, box=box)
    if crops is not None and crops.flip_B[0]:
        resized = resized.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return torch.from_numpy(np.array(resized)).permute(2, 0, 1).contiguous()


def _find(root: str, split: str) -> Path:
    if not root:
        raise DataError.wrong(
            "resources.data_root", root, "is empty: data.kind=imagefolder needs a folder with train/ and val/"
        )
    for name in FOLDERS[split]:
        if (Path(root) / name).is_dir():
            return Path(root) / name
    raise DataError(
        f"no folder '{' or '.join(FOLDERS[split])}' in {root}; expected {root}/{FOLDERS[split][0]}/<class>/<image>",
        setting="resources.data_root",
        path=root,
    )


def _classes(folder: Path) -> list[str]:
    classes = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith("."))
    if not classes:
        raise DataError(f"no class folders in {folder}; expected {folder}/<class>/<image>", path=folder)
    return classes


def _files(folder: Path) -> list[str]:
    names = sorted(entry.name for entry in os.scandir(folder) if entry.name.lower().endswith(EXTENSIONS))
    if not names:
        raise DataError(f"no images in {folder}; expected files that end in {', '.join(EXTENSIONS)}", path=folder)
    return names
