from dataclasses import replace
from typing import get_args, get_type_hints

import numpy as np
import pytest
import torch
from PIL import Image

from iwm_core.config import DataConfig
from iwm_core.data.crops import draw_crops
from iwm_core.data.datasets import DATASETS, ImageStack, load
from iwm_core.data.digits import digits_on_photos
from iwm_core.errors import ConfigError

NOISE = DataConfig(kind="random", random_images=20, stored_size=40, image_size=16)


@pytest.fixture
def root(tmp_path):
    for n in range(3):
        for split in ("train", "val"):
            folder = tmp_path / split / f"class{n}"
            folder.mkdir(parents=True)
            Image.new("RGB", (30, 20), (n, 2 * n, 3 * n)).save(folder / "1.png")
    return tmp_path


def test_the_table_is_the_configurations_choices():
    assert set(DATASETS) == set(get_args(get_type_hints(DataConfig)["kind"]))


@pytest.mark.parametrize("kind", DATASETS)
@pytest.mark.parametrize("split", ["train", "test"])
def test_every_data_set_keeps_the_same_promises(kind, split, root):
    config = replace(NOISE, kind=kind)
    dataset = load(config, split=split, root=str(root))
    again = load(config, split=split, root=str(root))
    index_B = np.array([2, 0, 2, 1])
    crops = draw_crops(config, seed=0, step=0, batch=4)
    for image in (dataset.crops(index_B, crops, 16), dataset.centre(index_B, 16)):
        assert image.shape == (4, 3, 16, 16)
        assert image.dtype == torch.uint8
        assert image.is_contiguous()
    assert torch.equal(dataset.crops(index_B, crops, 16), again.crops(index_B, crops, 16))
    assert torch.equal(dataset.centre(index_B, 16)[0], dataset.centre(index_B, 16)[2])
    assert dataset.labels.dtype == np.int64
    assert len(dataset.labels) == len(dataset)
    assert 0 <= dataset.labels.min() <= dataset.labels.max() < dataset.num_classes
    assert dataset.digest == again.digest
    assert len(dataset.digest) == 64


def test_splits_differ():
    train, test = (load(NOISE, split=split) for split in ("train", "test"))
    assert train.digest != test.digest
    assert len(train) == 20


def test_digits_keep_their_masks():
    dataset = load(DataConfig(), split="test")
    assert isinstance(dataset, ImageStack)
    assert dataset.masks is not None
    np.testing.assert_array_equal(dataset.masks, digits_on_photos(split="test", size=40)[2])


def test_the_centre_of_a_stack_is_its_middle():
    image = torch.zeros(1, 3, 40, 40, dtype=torch.uint8)
    image[:, :, 12:28, 12:28] = 255
    stack = ImageStack(image, np.zeros(1, dtype=np.int64), 1, "bilinear")
    assert stack.centre([0], 35)[0, 0, 17, :].tolist() == [0] * 10 + [255] * 16 + [0] * 9


@pytest.mark.parametrize(
    ("change", "setting"),
    [
        ({"crop_area_min": 0.0}, "data.crop_area_min"),
        ({"crop_area_max": 1.5}, "data.crop_area_max"),
        ({"crop_aspect_min": 2.0}, "data.crop_aspect_max"),
        ({"random_images": 0}, "data.random_images"),
    ],
)
def test_crops_that_cannot_be_cut_are_refused(change, setting):
    with pytest.raises(ConfigError) as caught:
        load(replace(NOISE, **change), split="train")
    assert caught.value.setting == setting
