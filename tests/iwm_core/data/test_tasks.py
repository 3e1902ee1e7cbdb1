import numpy as np
import pytest
import torch
from torchvision.utils import save_image

from iwm_core.config import DataConfig
from iwm_core.data import tasks
from iwm_core.errors import ConfigError, DataError


@pytest.fixture(scope="module")
def digits():
    return tasks.load(DataConfig(), names="", root="")


def test_the_digits_have_three_tasks_that_no_majority_settles(digits):
    train, test = digits
    assert {name: task.num_classes for name, task in train.items()} == {"digit": 10, "photo": 2, "colour": 3}
    for name, task in test.items():
        majority = np.bincount(train[name].labels).argmax()
        assert np.mean(task.labels == majority) < 0.55, name
        assert len(task.labels) == len(task.images)
        assert task.labels.max() < task.num_classes


def test_the_colour_is_that_of_the_digit(digits):
    task = digits[1]["colour"]
    for index in range(0, 200, 7):
        image, mask = task.images.image_NCHW[index].float(), torch.from_numpy(task.images.masks[index])
        red, green, blue = (channel[mask].mean() for channel in image)
        if torch.stack([red, green, blue]).std() > 25:
            turn = torch.atan2(3**0.5 * (green - blue), 2 * red - green - blue) / (2 * torch.pi)
            assert int(3 * ((turn + 1 / 6) % 1)) == task.labels[index]


def test_tasks_can_be_named(digits):
    train, _ = tasks.load(DataConfig(), names="photo, digit", root="")
    assert list(train) == ["photo", "digit"]
    with pytest.raises(ConfigError) as caught:
        tasks.load(DataConfig(), names="size", root="")
    assert (caught.value.setting, caught.value.choices) == ("tune.tasks", ("digit", "photo", "colour"))
    assert list(tasks.load(DataConfig(kind="random", random_images=8), names="", root="")[0]) == ["class"]


def test_folders_are_tasks(tmp_path):
    config = DataConfig(kind="imagefolder", dataset="two")
    for task, classes in {"birds": "ab", "places": "cde"}.items():
        for split in ("train", "val"):
            for label in classes:
                (tmp_path / task / split / label).mkdir(parents=True)
                save_image(torch.rand(3, 8, 8), tmp_path / task / split / label / "0.png")
    train, test = tasks.load(config, names="birds,places", root=str(tmp_path))
    assert {name: task.num_classes for name, task in train.items()} == {"birds": 2, "places": 3}
    assert len(test["places"].labels) == 3
    with pytest.raises(DataError) as no_folder:
        tasks.load(config, names="cars", root=str(tmp_path))
    assert (no_folder.value.setting, no_folder.value.path) == ("tune.tasks", tmp_path / "cars")
    with pytest.raises(ConfigError) as no_names:
        tasks.load(config, names="", root=str(tmp_path))
    assert (no_names.value.setting, no_names.value.value) == ("tune.tasks", "")
