import pytest
import torch
from timm.models.vision_transformer import Block

from iwm_core.models.attention import attention_path, take_path


@pytest.mark.parametrize(
    ("device_type", "precision", "path"),
    [("cpu", "fp32", "fused"), ("cpu", "bf16", "explicit"), ("cuda", "fp32", "fused"), ("cuda", "bf16", "fused")],
)
def test_only_bf16_on_the_cpu_takes_the_explicit_path(device_type, precision, path):
    assert attention_path(device_type, precision=precision) == path


def test_both_paths_compute_the_same():
    block, z_BND = Block(16, 2), torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(0))
    outputs = []
    for path in ("fused", "explicit"):
        take_path(block, path)
        assert block.attn.fused_attn == (path == "fused")
        outputs.append(block(z_BND))
    torch.testing.assert_close(*outputs)
