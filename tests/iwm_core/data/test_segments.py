import numpy as np
import pytest
import torch
from PIL import Image

from iwm_core.config import DataConfig
from iwm_core.data import segments
from iwm_core.data.crops import draw_crops
from iwm_core.errors import ConfigError, DataError

CONFIG = DataConfig(kind="imagefolder", dataset="scenes")


@pytest.fixture(scope="module")
def digits():
    return segments.load(DataConfig(), classes=0, split="test", root="")


@pytest.fixture
def root(tmp_path):
    """Images whose red channel is the class of the pixel, times 80."""
    for split in ("training", "validation"):
        for kind in ("images", "annotations"):
            (tmp_path / kind / split).mkdir(parents=True)
        for number in range(3):
            classes = np.zeros((40, 60), dtype=np.uint8)
            classes[:, 20:] = 1
            classes[20:, 30:] = 2 + number % 2
            image = np.stack([classes * 80, classes * 0, classes * 0], axis=-1)
            Image.fromarray(image).save(tmp_path / "images" / split / f"{number}.png")
            Image.fromarray(classes).save(tmp_path / "annotations" / split / f"{number}.png")
    return tmp_path


def drawn(config, batch):
    return draw_crops(config, seed=0, step=0, batch=batch)


def test_a_digit_s_pixels_have_its_class_and_the_others_none(digits):
    indices = np.arange(20)
    found = digits.segments(indices, None, 32)
    assert digits.num_classes == 11
    for row, index in zip(found, indices, strict=True):
        assert set(row.unique().tolist()) == {0, 1 + digits.labels[index]}


@pytest.mark.parametrize("crops", [False, True])
def test_classes_are_cropped_and_flipped_with_their_image(digits, crops):
    indices = np.arange(30)
    cut = drawn(DataConfig(), len(indices)) if crops else None
    image = digits.crops(indices, cut, 40) if cut else digits.centre(indices, 40)
    inside = digits.segments(indices, cut, 40) > 0
    luma = image.float().mean(1)
    brighter = [(luma[b][inside[b]].mean() > luma[b][~inside[b]].mean()).item() for b in range(30) if inside[b].any()]
    assert all(brighter)


@pytest.mark.parametrize("crops", [False, True])
def test_a_folder_in_ade20k_s_layout(root, crops):
    found = segments.load(CONFIG, classes=3, split="train", root=str(root))
    indices = np.arange(3)
    cut = drawn(CONFIG, 3) if crops else None
    classes = found.segments(indices, cut, 16)
    image = found.crops(indices, cut, 16) if cut else found.centre(indices, 16)
    values = torch.where(classes == segments.IGNORED, 0, classes.int() + 1)
    assert set(classes.unique().tolist()) <= {0, 1, 2, segments.IGNORED}
    near = (image[:, 0].float() / 80 - values).abs() < 0.3
    assert near.float().mean() > 0.8  # the image is smoothed at its edges
    assert len(found) == 3


def test_what_is_missing_is_named(root):
    with pytest.raises(ConfigError) as no_classes:
        segments.load(CONFIG, classes=0, split="train", root=str(root))
    with pytest.raises(DataError) as few_classes:
        segments.load(CONFIG, classes=2, split="train", root=str(root)).segments(np.arange(3), None, 16)
    assert no_classes.value.setting == few_classes.value.setting == "tune.classes"
    (root / "annotations" / "validation" / "1.png").unlink()
    with pytest.raises(DataError) as no_annotation:
        segments.load(CONFIG, classes=3, split="test", root=str(root))
    assert no_annotation.value.path == root / "annotations" / "validation" / "1.png"
    for file in (root / "annotations" / "training").iterdir():
        file.unlink()
    (root / "annotations" / "training").rmdir()
    with pytest.raises(DataError) as no_folder:
        segments.load(CONFIG, classes=3, split="train", root=str(root))
    assert no_folder.value.path == root / "annotations" / "training"


def test_images_without_segments_are_refused():
    with pytest.raises(ConfigError) as caught:
        segments.load(DataConfig(kind="random", random_images=8), classes=2, split="train", root="")
    assert (caught.value.setting, caught.value.value) == ("data.kind", "random")
