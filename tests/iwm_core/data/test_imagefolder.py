import hashlib
from typing import Literal

import numpy as np
import pytest
import torch
from PIL import Image

from iwm_core.config import DataConfig
from iwm_core.data.crops import crop_boxes, draw_crops
from iwm_core.data.imagefolder import ImageFolder
from iwm_core.errors import DataError


def picture(path, colour, size=(60, 44), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path, **options)


@pytest.fixture
def root(tmp_path):
    for n, name in enumerate(["b.png", "a.JPG", "c.webp", "d.jpeg"]):
        picture(
            tmp_path / "train" / "cat" / name,
            (50 * n, 20, 30),
            format={"b.png": "PNG", "c.webp": "WEBP"}.get(name, "JPEG"),
        )
    picture(tmp_path / "train" / "ant" / "x.png", (0, 200, 0))
    picture(tmp_path / "val" / "ant" / "y.png", (0, 100, 0))
    (tmp_path / "train" / "cat" / "notes.txt").write_text("not an image")
    return tmp_path


def open_folder(root, split: Literal["train", "test"] = "train", max_corrupt_files=2):
    return ImageFolder(str(root), split=split, interpolation="bicubic", max_corrupt_files=max_corrupt_files)


def test_files_are_listed_in_order_with_their_labels(root):
    folder = open_folder(root)
    assert folder.names == ["ant/x.png", "cat/a.JPG", "cat/b.png", "cat/c.webp", "cat/d.jpeg"]
    assert folder.labels.tolist() == [0, 1, 1, 1, 1]
    assert (folder.num_classes, len(folder), folder.classes) == (2, 5, ["ant", "cat"])


def test_the_test_split_is_val_or_test(root):
    assert open_folder(root, "test").names == ["ant/y.png"]
    (root / "val").rename(root / "test")
    assert open_folder(root, "test").names == ["ant/y.png"]


def test_crops_are_the_boxes_of_the_files(tmp_path):
    noise = np.random.default_rng(0).integers(256, size=(70, 90, 3), dtype=np.uint8)
    (tmp_path / "train" / "a").mkdir(parents=True)
    Image.fromarray(noise).save(tmp_path / "train" / "a" / "1.png")
    crops = draw_crops(DataConfig(), seed=0, step=0, batch=6)
    got = open_folder(tmp_path).crops(np.zeros(6, dtype=int), crops, 32)
    boxes = crop_boxes(crops, height=70, width=90).tolist()
    for image, (top, left, h, w), flip in zip(got, boxes, crops.flip_B, strict=True):
        part = Image.fromarray(noise[top : top + h, left : left + w]).resize((32, 32), Image.Resampling.BICUBIC)
        expected = np.array(part)[:, ::-1] if flip else np.array(part)
        np.testing.assert_array_equal(image.permute(1, 2, 0).numpy(), expected)


def test_a_large_jpeg_is_decoded_smaller_with_the_same_content(tmp_path):
    x, y = np.meshgrid(np.linspace(0, 255, 640), np.linspace(0, 255, 480))
    smooth = np.stack([x, y, 255 - x], 2).astype(np.uint8)
    (tmp_path / "train" / "a").mkdir(parents=True)
    Image.fromarray(smooth).save(tmp_path / "train" / "a" / "1.jpg", quality=95)
    got = open_folder(tmp_path).centre([0], 32)
    exact = Image.fromarray(smooth[30:450, 110:530]).resize((32, 32), Image.Resampling.BICUBIC)
    assert np.abs(got[0].permute(1, 2, 0).numpy().astype(int) - np.array(exact)).mean() < 2


def test_grey_and_transparent_files_become_rgb(tmp_path):
    (tmp_path / "train" / "a").mkdir(parents=True)
    Image.new("L", (20, 20), 77).save(tmp_path / "train" / "a" / "grey.png")
    Image.new("RGBA", (20, 20), (1, 2, 3, 4)).save(tmp_path / "train" / "a" / "through.png")
    pixels = open_folder(tmp_path).centre([0, 1], 8)[:, :, 0, 0]
    assert pixels.tolist() == [[77, 77, 77], [1, 2, 3]]


def test_unreadable_files_are_named_counted_and_replaced_within_their_class(root, caplog):
    (root / "train" / "cat" / "d.jpeg").write_bytes(b"")
    (root / "train" / "cat" / "a.JPG").write_bytes((root / "train" / "cat" / "b.png").read_bytes()[:60])
    folder = open_folder(root)
    got = folder.centre([4, 1, 4, 0], 8)
    expected = folder.centre([2, 2, 2, 0], 8)
    assert torch.equal(got, expected)
    assert folder.corrupt == ["cat/a.JPG", "cat/d.jpeg"]
    assert [record.getMessage().split(": ")[0] for record in caplog.records] == [
        f"skipped unreadable image {root}/train/cat/d.jpeg (1 of at most 2)",
        f"skipped unreadable image {root}/train/cat/a.JPG (2 of at most 2)",
    ]


def test_too_many_unreadable_files_are_an_error(root):
    (root / "train" / "cat" / "b.png").write_bytes(b"")
    (root / "train" / "cat" / "c.webp").write_bytes(b"RIFF")
    folder = open_folder(root, max_corrupt_files=1)
    with pytest.raises(DataError) as caught:
        folder.centre([2], 8)
    assert (caught.value.setting, caught.value.value) == ("data.max_corrupt_files", 1)
    assert caught.value.path == root / "train" / "cat" / "c.webp"


def test_a_class_without_a_readable_image_is_an_error(root):
    (root / "train" / "ant" / "x.png").write_bytes(b"")
    with pytest.raises(DataError) as caught:
        open_folder(root).centre([0], 8)
    assert caught.value.path == root / "train" / "ant"


def test_the_digest_is_of_the_names(root):
    before = open_folder(root, "test").digest
    assert before == hashlib.sha256(b"ant/y.png").hexdigest()
    (root / "val" / "ant" / "y.png").rename(root / "val" / "ant" / "z.png")
    assert open_folder(root, "test").digest != before


@pytest.mark.parametrize("there", ["", "train", "train/cat"])
def test_the_last_folder_of_an_incomplete_layout_is_named(tmp_path, there):
    (tmp_path / there).mkdir(parents=True, exist_ok=True)
    with pytest.raises(DataError) as caught:
        open_folder(tmp_path)
    assert caught.value.path == tmp_path / there


def test_a_missing_root_names_the_setting():
    with pytest.raises(DataError) as caught:
        open_folder("")
    assert caught.value.setting == "resources.data_root"
