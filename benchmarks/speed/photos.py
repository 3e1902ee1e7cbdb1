"""A folder of JPEG files like ImageNet's, cut from scikit-learn's two sample photographs, which are real images."""

from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

WIDTH, HEIGHT, QUALITY = 500, 375, 88
"""ImageNet's usual size; these two photographs then take about 46 KB a file, where ImageNet's take about 67."""


def write_photos(root: Path, *, count: int) -> float:
    """Writes `count` photographs below `root`/train in two classes; returns kilobytes per file."""
    photos = [Image.fromarray(photo) for photo in load_sample_images().images]
    draw = np.random.Generator(np.random.Philox(0))
    for number in range(count):
        kind = number % len(photos)
        file = root / "train" / f"photo-{kind}" / f"{number:05d}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        _cut(photos[kind], draw=draw).save(file, quality=QUALITY)
    return sum(file.stat().st_size for file in root.rglob("*.jpg")) / count / 1000


def _cut(photo: Image.Image, *, draw: np.random.Generator) -> Image.Image:
    """A part of the photograph of random size and place, flipped or not."""
    width = int(draw.integers(400, photo.width + 1))
    height = width * HEIGHT // WIDTH
    left = int(draw.integers(0, photo.width - width + 1))
    top = int(draw.integers(0, max(0, photo.height - height) + 1))
    part = photo.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC, box=_box(photo, left, top, width, height))
    return part.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if draw.random() < 0.5 else part


def _box(photo: Image.Image, left: int, top: int, width: int, height: int) -> tuple[int, int, int, int]:
    return left, top, left + width, min(photo.height, top + height)
