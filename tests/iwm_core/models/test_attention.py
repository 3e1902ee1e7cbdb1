import pytest
import torch
from timm.models.vision_transformer import Block

from iwm_core.models.attention import attention_path, last_tokens, take_path


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


@pytest.mark.parametrize("path", ["fused", "explicit"])
def test_the_last_tokens_are_those_of_the_whole_block(path):
    block, z_BND = Block(16, 2, qkv_bias=True), torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(0))
    torch.nn.init.normal_(block.get_parameter("attn.qkv.bias"))
    take_path(block, path)
    torch.testing.assert_close(last_tokens(block, z_BND, count=2), block(z_BND)[:, -2:])


def test_the_last_tokens_have_the_gradient_of_the_whole_block():
    block, z_BND = Block(16, 2, qkv_bias=True), torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(0))
    gradients = []
    for output in (last_tokens(block, z_BND, count=2), block(z_BND)[:, -2:]):
        gradients.append(torch.autograd.grad(output.square().sum(), list(block.parameters())))
    torch.testing.assert_close(*gradients)
