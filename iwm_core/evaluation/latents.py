"""The evaluated images of a split, and the features of their clean centre crops.

Shapes: B images of a chunk, n images, C channels, S pixels, F features.
"""

from collections.abc import Callable

import numpy as np
from torch import Tensor

from iwm_core.data import datasets
from iwm_core.errors import DataError
from iwm_core.evaluation.logistic import Split
from iwm_core.evaluation.subject import Subject

CHUNK = 256
"""Number of images that pass through the networks at once."""

Features = Callable[[Tensor, np.ndarray], dict[str, Tensor]]
"""(uint8 images on the device, their indices in the split) -> features [B, F] by name."""


def spread(available: int, *, at_most: int) -> np.ndarray:
    """Return at most `at_most` indices, spread evenly over `range(available)`, int64, ascending.

    Even spacing gives every class its share in a folder sorted by class, and is the same for every trial.
    """
    count = min(available, at_most)
    return np.arange(count) * available // max(count, 1)


def read(subject: Subject, *, split: datasets.Split, features: Features) -> dict[str, Split]:
    """Return features and classes of at most `evaluate.probe_<split>_images` images, by name."""
    evaluate = subject.config.evaluate
    at_most = {"train": evaluate.probe_train_images, "test": evaluate.probe_test_images}[split]
    dataset = datasets.load(subject.config.data, split=split, root=subject.data_root)
    indices = spread(len(dataset), at_most=at_most)
    chunks = []
    for at in range(0, len(indices), CHUNK):
        some = indices[at : at + CHUNK]
        image_BCSS = dataset.centre(some, size=subject.config.data.image_size).to(subject.device)
        chunks.append({name: f_BF.float().cpu().numpy() for name, f_BF in features(image_BCSS, some).items()})
    labels = dataset.labels[indices]
    return {
        name: Split(features=np.concatenate([chunk[name] for chunk in chunks]), labels=labels) for name in chunks[0]
    }


def check_classes(dataset: datasets.ImageDataset, *, protocol: str) -> None:
    """Check that the data set has at least two classes.

    Raises:
        DataError: it has one.
    """
    if dataset.num_classes < 2:
        why = "needs two classes, and this data set has one; choose another data.kind, or a folder per class"
        raise DataError.wrong("evaluate.protocol", protocol, why)
