"""The classification tasks of `multitask`.

    digits_on_photos    digit, photo (which photograph is behind it), colour (nearest to red, green or blue)
    imagefolder         each subfolder of the root that `tune.tasks` names: <root>/<task>/train/<class>/<image>
    others              class, the data set's labels

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
    """Images with labels in 0 to `num_classes` - 1."""

    images: ImageDataset
    labels: np.ndarray
    num_classes: int


def load(config: DataConfig, *, names: str, root: str) -> tuple[dict[str, Task], dict[str, Task]]:
    """Load the training and test tasks by name, in the order of `names` (`tune.tasks`); empty: all.

    Raises:
        ConfigError: no names for a folder, or an unknown task.
        DataError: missing images.
    """
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if config.kind == "imagefolder":
        return _folders(config, wanted, split="train", root=root), _folders(config, wanted, split="test", root=root)
    train, test = (datasets.load(config, split=split, root=root) for split in ("train", "test"))
    known, tested = _labels(train), _labels(test)
    if unknown := [name for name in wanted if name not in known]:
        raise ConfigError.unknown(f"task of {config.kind}", unknown[0], choices=known, setting="tune.tasks")
    classes = {name: 1 + int(max(known[name].max(), tested[name].max())) for name in wanted or known}
    return (
        {name: Task(images=train, labels=known[name], num_classes=count) for name, count in classes.items()},
        {name: Task(images=test, labels=tested[name], num_classes=count) for name, count in classes.items()},
    )


def _labels(images: ImageDataset) -> dict[str, np.ndarray]:
    tasks = dict(images.tasks) if isinstance(images, ImageStack) else {}
    return tasks or {"class": images.labels}


def _folders(config: DataConfig, names: list[str], *, split: Split, root: str) -> dict[str, Task]:
    if not names:
        why = "is empty: multitask on a folder needs names of folders below resources.data_root, separated by commas"
        raise ConfigError.wrong("tune.tasks", "", why)
    found = {}
    for name in names:
        if not (Path(root) / name).is_dir():
            raise DataError(
                f"tune.tasks names {name!r}, and resources.data_root={root} has no such folder",
                setting="tune.tasks",
                value=name,
                path=Path(root) / name,
            )
        images = datasets.load(config, split=split, root=str(Path(root) / name))
        found[name] = Task(images=images, labels=images.labels, num_classes=images.num_classes)
    return found
