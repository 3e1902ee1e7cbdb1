import pytest
import torch
from timm.models.vision_transformer import Block

from iwm_core.models.attention import Change, Modulation, attention_path, last_tokens, modulated, take_path


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


def modulation_of(*, gate=1.0):
    draw = torch.Generator().manual_seed(1)
    parts = [torch.randn(2, 1, 16, generator=draw) for _ in range(4)]
    gate_B1D = torch.full((2, 1, 16), gate)
    return Modulation(Change(parts[0], parts[1], gate_B1D), Change(parts[2], parts[3], gate_B1D))


@pytest.mark.parametrize("path", ["fused", "explicit"])
def test_the_last_tokens_of_a_modulated_block_are_those_of_the_whole(path):
    block, z_BND = Block(16, 2, qkv_bias=True), torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(0))
    take_path(block, path)
    whole_BND = modulated(block, z_BND, modulation_of(gate=0.5))
    torch.testing.assert_close(
        last_tokens(block, z_BND, count=2, modulation=modulation_of(gate=0.5)), whole_BND[:, -2:]
    )
    assert not torch.allclose(whole_BND, block(z_BND))


def test_a_modulation_that_changes_nothing_is_the_block_and_a_closed_gate_the_identity():
    block, z_BND = Block(16, 2, qkv_bias=True), torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(0))
    nothing, zero = torch.ones(2, 1, 16), torch.zeros(2, 1, 16)
    same = Modulation(Change(zero, zero, nothing), Change(zero, zero, nothing))
    torch.testing.assert_close(modulated(block, z_BND, same), block(z_BND))
    assert torch.equal(modulated(block, z_BND, modulation_of(gate=0.0)), z_BND)
