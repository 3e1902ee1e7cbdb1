"""timm's models as encoders, with the features that timm gives."""

import dataclasses

import pytest
import timm
import torch

from iwm_core.config import DataConfig, EvaluateConfig, TrialConfig
from iwm_core.errors import ConfigError
from iwm_core.models.backbone import backbone, tokens

CONFIG = TrialConfig(data=DataConfig(image_size=32))
X = torch.linspace(-2, 2, 2 * 3 * 32 * 32).view(2, 3, 32, 32)


@pytest.mark.parametrize(
    ("name", "cells", "width"),
    [
        ("vit_tiny_patch16_224", 4, 192),
        ("deit_tiny_distilled_patch16_224", 4, 192),
        ("resnet10t", 1, 512),
        ("convnext_atto", 1, 320),
    ],
)
def test_it_gives_timm_s_features_without_class_and_register_tokens(name, cells, width):
    encoder = backbone(CONFIG, name=name, weights="").eval()
    with torch.no_grad():
        z, own = encoder(X), encoder.vit.forward_features(encoder._recoloured(X))
    assert z.shape == (2, cells, width)
    assert encoder.width == width
    expected = own[:, -cells:] if own.dim() == 3 else own.flatten(2).mT
    assert torch.equal(z, expected)


def test_a_map_is_read_in_the_order_of_its_cells():
    last, first = torch.rand(2, 3, 3, 5), torch.rand(2, 5, 3, 3)
    assert torch.equal(tokens(last, width=5, prefix=0), last.reshape(2, 9, 5))
    assert torch.equal(tokens(first, width=5, prefix=0), first.flatten(2).mT)


def test_images_get_the_model_s_own_colours():
    encoder = backbone(CONFIG, name="vit_tiny_patch16_224", weights="").eval()  # augreg: mean and deviation 1/2
    assert encoder.vit.pretrained_cfg["mean"] == (0.5, 0.5, 0.5)
    encoder._scale_C11, encoder._shift_C11 = torch.full((3, 1, 1), 0.229 / 0.5), torch.full((3, 1, 1), -0.015 / 0.5)
    unit = torch.rand(1, 3, 32, 32)
    seen = encoder._recoloured((unit - 0.485) / 0.229)
    torch.testing.assert_close(seen, (unit - 0.5) / 0.5)


def test_random_weights_are_those_of_the_seed():
    one, same = (backbone(CONFIG, name="vit_tiny_patch16_224", weights="") for _ in range(2))
    other = backbone(dataclasses.replace(CONFIG, seed=1), name="vit_tiny_patch16_224", weights="")
    assert torch.equal(one.vit.blocks[0].attn.qkv.weight, same.vit.blocks[0].attn.qkv.weight)
    assert not torch.equal(one.vit.blocks[0].attn.qkv.weight, other.vit.blocks[0].attn.qkv.weight)


def test_weights_come_from_the_file(tmp_path):
    theirs = timm.create_model("vit_tiny_patch16_224", num_classes=10)
    torch.save(theirs.state_dict(), tmp_path / "theirs.pt")
    config = dataclasses.replace(CONFIG, data=DataConfig(image_size=224), evaluate=EvaluateConfig(weights="mine"))
    given = {"name": "vit_tiny_patch16_224", "weights": "mine", "weights_file": str(tmp_path / "theirs.pt")}
    encoder = backbone(config, **given)
    assert torch.equal(encoder.vit.blocks[3].mlp.fc1.weight, theirs.get_parameter("blocks.3.mlp.fc1.weight"))


def test_a_model_that_timm_does_not_have_is_refused():
    with pytest.raises(ConfigError) as caught:
        backbone(CONFIG, name="vit_gigantic", weights="")
    assert caught.value.value == "vit_gigantic"


@pytest.mark.parametrize("file", ["", "none.pt", "other.pt"])
def test_weights_that_cannot_be_loaded_are_refused(tmp_path, file):
    torch.save(timm.create_model("resnet10t").state_dict(), tmp_path / "other.pt")
    path = str(tmp_path / file) if file else ""
    with pytest.raises(ConfigError) as caught:
        backbone(CONFIG, name="vit_tiny_patch16_224", weights="mine", weights_file=path)
    assert caught.value.setting == "resources.weights_file"
    assert caught.value.path == (tmp_path / file if file else None)


def test_an_image_that_is_no_whole_number_of_patches_is_refused():
    odd = dataclasses.replace(CONFIG, data=DataConfig(image_size=33))
    with pytest.raises(ConfigError) as caught:
        backbone(odd, name="vit_tiny_patch16_224", weights="")
    assert (caught.value.setting, caught.value.value) == ("data.image_size", 33)
