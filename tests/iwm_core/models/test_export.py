"""An exported encoder, loaded by timm, gives the same features."""

import pytest
import timm
import torch

from iwm_core.config import DataConfig, EncoderConfig, TrialConfig
from iwm_core.errors import ConfigError
from iwm_core.models.encoder import ViTEncoder
from iwm_core.models.export import SIZES, create_line, timm_model, write

TOY = EncoderConfig(patch_size=8, width=64, depth=2, heads=2, mlp_ratio=3)


def of_size(width, depth, heads):
    return EncoderConfig(patch_size=16, width=width, depth=depth, heads=heads)


@pytest.mark.parametrize("shape", [TOY, *(of_size(*size) for size in list(SIZES)[:2])], ids=lambda shape: shape.width)
def test_timm_gives_the_same_features(shape, tmp_path):
    config = TrialConfig(data=DataConfig(image_size=32), encoder=shape)
    encoder, x = ViTEncoder(config).eval(), torch.randn(2, 3, 32, 32)
    write(encoder, file=tmp_path / "encoder.pt")
    line = create_line(config, file=tmp_path / "encoder.pt")
    loaded = eval(line, {"timm": timm}).eval()
    with torch.no_grad():
        torch.testing.assert_close(loaded.forward_features(x), encoder(x), atol=1e-5, rtol=0)
        torch.testing.assert_close(loaded(x), encoder(x).mean(1), atol=1e-5, rtol=0)
    assert not list(tmp_path.glob("*.tmp"))


@pytest.mark.parametrize(("size", "name"), SIZES.items())
def test_timm_s_sizes_need_no_shape(size, name):
    found, given = timm_model(TrialConfig(data=DataConfig(image_size=224), encoder=of_size(*size)))
    assert found == name
    assert not {"embed_dim", "depth", "num_heads"} & set(given)


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError) as caught:
        write(ViTEncoder(TrialConfig()), file=tmp_path / "file" / "encoder.pt")
    assert caught.value.path == tmp_path / "file" / "encoder.pt"
