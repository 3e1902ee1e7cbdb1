"""What a step sees is the same on every device: integers and actions to the bit, pixels to a few roundings."""

import dataclasses
import itertools
import typing
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from iwm_core.config import MasksConfig
from iwm_core.data import datasets, masks, noise
from iwm_core.data.loader import batch_at
from iwm_core.data.views import make_views
from iwm_core.objectives import table as objectives
from iwm_core.objectives.objective import Part
from iwm_core.tensors import onto
from tests.gpu.trials import CASES, CPU, SMALL, WIDE, changed, images

PIXELS = 5e-5
"""Of normalised pixels: a hundred roundings of [0, 1] in fp32, over a deviation of 0.22."""
CHOICES = typing.get_type_hints(MasksConfig)
KINDS = itertools.product(*(typing.get_args(CHOICES[name]) for name in ("kind", "sequences", "per")))
MASKS = [dict(zip(("masks.kind", "masks.sequences", "masks.per"), kind, strict=True)) for kind in KINDS]
OFFICIAL = {"masks.kind": "multiblock", "masks.sequences": "blocks", "masks.official_quirks": True}


def tensors(value: Any, *, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """Every tensor in nested dataclasses, by its field's name."""
    if isinstance(value, Tensor):
        yield name, value
    elif dataclasses.is_dataclass(value):
        for each in dataclasses.fields(value):
            yield from tensors(getattr(value, each.name), name=each.name)


def assert_same(on_device: Any, on_cpu: Any) -> None:
    found, expected = dict(tensors(on_device)), dict(tensors(on_cpu))
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        exactly = name == "a_BA" or not value.is_floating_point()
        assert torch.allclose(found[name].cpu(), value, atol=0 if exactly else PIXELS, rtol=0), name


@pytest.mark.parametrize("case", CASES)
def test_what_an_objective_draws(case, device):
    config = changed(WIDE, CASES[case])
    for part in ({"step": 0}, {"step": 7, "first": 4}):
        image_BCHW = images(config, CPU)[part.get("first", 0) :]
        drawn = [
            objectives.of(config).draw(Part(image_BCHW=image_BCHW.to(where), **part), config) for where in (device, CPU)
        ]
        assert_same(*drawn)


@pytest.mark.parametrize("factors", ["linear", "log"])
@pytest.mark.parametrize("hue", ["hsv", "yiq"])
def test_every_photometric_operation(hue, factors, device):
    destructive = {f"photometric.{name}_p": 0.5 for name in ("grayscale", "blur", "solarize")}
    config = changed(WIDE, {"photometric.hue": hue, "photometric.factors": factors, **destructive})
    assert_same(*(make_views(images(config, where), config, 3) for where in (device, CPU)))


@pytest.mark.parametrize("settings", [*MASKS, OFFICIAL], ids=lambda settings: ", ".join(map(str, settings.values())))
def test_every_kind_of_mask(settings, device):
    config = changed(SMALL, {"masks.context_ratio": 0.25, "masks.target_ratio": 0.14, **settings})
    for rows in (slice(0, 16), slice(4, 8)):
        assert_same(*(masks.sequences(config, 5, batch=16, device=where, rows=rows) for where in (device, CPU)))


def test_noise_comes_of_the_same_integers(device):
    key_B = torch.randint(2**32, (64,), generator=torch.Generator().manual_seed(0))
    assert torch.equal(noise._mix(key_B.to(device)).cpu(), noise._mix(key_B))
    torch.testing.assert_close(noise.normal(key_B.to(device), count=999).cpu(), noise.normal(key_B, count=999))


def test_crops_arrive_as_they_were_cut_while_the_device_is_busy(device):
    images_of = datasets.load(SMALL.data, split="train")
    side = 4000 if device.type == "cuda" else 20
    a = torch.randn(side, side, device=device)
    arrived = []
    for step in range(8):
        for _ in range(5):
            a = (a @ a).tanh()
        arrived.append(onto(batch_at(images_of, SMALL, step).image_BCHW, device))  # its host memory is free at once
    for step, image_BCHW in enumerate(arrived):
        assert torch.equal(image_BCHW.cpu(), batch_at(images_of, SMALL, step).image_BCHW)
