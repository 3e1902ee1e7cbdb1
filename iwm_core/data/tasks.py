"""Several questions to ask of images: what `multitask` tunes one predictor for.

    digits_on_photos    digit, photo (which photograph is behind it), colour (nearest to red, green or blue)
    imagefolder         each subfolder of the root that `tune.tasks` names: <root>/<task>/train/<class>/<image>
    others              class, the labels there are

Shapes: N images of a set.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from iwm_core.config import DataConfig
from iwm_core.data import datasets
from iwm_core.data.datasets import ImageDataset, ImageStack, Split
from iwm_core.errors import ConfigError, DataError


@dataclass(frozen=True, kw_only=True)
class Task:
    """Images and what is asked of each: labels in 0 to `num_classes` - 1."""

    images: ImageDataset
    labels: np.ndarray
    num_classes: int


def load(config: DataConfig, *, names: str, split: Split, root: str) -> dict[str, Task]:
    """The tasks by name, in the order of `names` (`tune.tasks`), or all there are.

    Raises:
        ConfigError: none, or one that the data set does not have; names those it has.
        DataError: images that are not where they should be.
    """
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if config.kind == "imagefolder":
        return _folders(config, wanted, split=split, root=root)
    images = datasets.load(config, split=split, root=root)
    known = dict(images.tasks) if isinstance(images, ImageStack) else {}
    known = known or {"class": images.labels}
    if unknown := [name for name in wanted if name not in known]:
        raise ConfigError(f"tune.tasks names {unknown[0]!r}, and {config.kind} has {', '.join(known)}")
    return {
        name: Task(images=images, labels=known[name], num_classes=_classes(config, name, split=split, known=known))
        for name in wanted or known
    }


def _folders(config: DataConfig, names: list[str], *, split: Split, root: str) -> dict[str, Task]:
    if not names:
        raise ConfigError(
            "multitask on data.kind=imagefolder needs tune.tasks, names of folders below resources.data_root separated"
            " by commas"
        )
    found = {}
    for name in names:
        if not (Path(root) / name).is_dir():
            raise DataError(f"tune.tasks names {name!r}, and resources.data_root={root} has no such folder")
        images = datasets.load(config, split=split, root=str(Path(root) / name))
        found[name] = Task(images=images, labels=images.labels, num_classes=images.num_classes)
    return found


def _classes(config: DataConfig, name: str, *, split: Split, known: dict[str, np.ndarray]) -> int:
    """As many as the labels of either split need."""
    other = datasets.load(config, split="test" if split == "train" else "train")
    theirs = other.tasks.get(name, other.labels) if isinstance(other, ImageStack) else other.labels
    return 1 + int(max(known[name].max(), theirs.max()))
