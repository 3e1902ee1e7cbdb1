import math

import pytest
import timm
import torch
from timm.models import vision_transformer
from torch import nn

from iwm_core.models.block import Block, Change, Modulation, ZeroLinear, attention_path, take_path, xavier


@pytest.mark.parametrize(
    ("device_type", "precision", "path"),
    [("cpu", "fp32", "fused"), ("cpu", "bf16", "explicit"), ("cuda", "fp32", "fused"), ("cuda", "bf16", "fused")],
)
def test_only_bf16_on_the_cpu_takes_the_explicit_path(device_type, precision, path):
    assert attention_path(device_type, precision=precision) == path


@pytest.mark.parametrize("path", ["fused", "explicit"])
def test_names_weights_and_bits_are_those_of_timm_s_block(path):
    blocks = []
    for made in (lambda: Block(16, heads=2), lambda: vision_transformer.Block(16, 2, qkv_bias=True)):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            blocks.append(made())
            take_path(blocks[-1], path)
    ours, theirs = blocks
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert all(torch.equal(value, theirs.state_dict()[name]) for name, value in ours.state_dict().items())
    z_BND = torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(ours(z_BND), theirs(z_BND))


def test_timm_s_own_models_take_the_path_too():
    model = timm.create_model("vit_tiny_patch16_224", depth=1)
    take_path(model, "explicit")
    assert model.get_submodule("blocks.0.attn").fused_attn is False


def test_both_paths_compute_the_same():
    block, z_BND = Block(16, heads=2), torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(0))
    outputs = []
    for path in ("fused", "explicit"):
        take_path(block, path)
        assert block.attn.fused_attn == (path == "fused")
        outputs.append(block(z_BND))
    torch.testing.assert_close(*outputs)


@pytest.mark.parametrize("path", ["fused", "explicit"])
def test_the_last_tokens_are_those_of_the_whole_block(path):
    block, z_BND = Block(16, heads=2), torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(0))
    torch.nn.init.normal_(block.get_parameter("attn.qkv.bias"))
    take_path(block, path)
    torch.testing.assert_close(block(z_BND, last=2), block(z_BND)[:, -2:])


def test_the_last_tokens_have_the_gradient_of_the_whole_block():
    block, z_BND = Block(16, heads=2), torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(0))
    gradients = []
    for output in (block(z_BND, last=2), block(z_BND)[:, -2:]):
        gradients.append(torch.autograd.grad(output.square().sum(), list(block.parameters())))
    torch.testing.assert_close(*gradients)


def modulation_of(*, gate=1.0):
    draw = torch.Generator().manual_seed(1)
    parts = [torch.randn(2, 1, 16, generator=draw) for _ in range(4)]
    gate_B1D = torch.full((2, 1, 16), gate)
    return Modulation(Change(parts[0], parts[1], gate_B1D), Change(parts[2], parts[3], gate_B1D))


@pytest.mark.parametrize("path", ["fused", "explicit"])
def test_the_last_tokens_of_a_modulated_block_are_those_of_the_whole(path):
    block, z_BND = Block(16, heads=2), torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(0))
    take_path(block, path)
    whole_BND = block(z_BND, modulation=modulation_of(gate=0.5))
    last_BMD = block(z_BND, modulation=modulation_of(gate=0.5), last=2)
    torch.testing.assert_close(last_BMD, whole_BND[:, -2:])
    assert not torch.allclose(whole_BND, block(z_BND))


def test_a_modulation_that_changes_nothing_is_the_block_and_a_closed_gate_the_identity():
    block, z_BND = Block(16, heads=2), torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(0))
    nothing, zero = torch.ones(2, 1, 16), torch.zeros(2, 1, 16)
    same = Modulation(Change(zero, zero, nothing), Change(zero, zero, nothing))
    torch.testing.assert_close(block(z_BND, modulation=same), block(z_BND))
    assert torch.equal(block(z_BND, modulation=modulation_of(gate=0.0)), z_BND)


@pytest.mark.parametrize(
    ("module", "fan_in", "fan_out"), [(nn.Linear(300, 100), 300, 100), (nn.Conv2d(3, 64, 8), 192, 64)]
)
def test_weights_fill_the_bound_of_the_linear_map_and_biases_are_zero(module, fan_in, fan_out):
    xavier(module)
    bound = math.sqrt(6 / (fan_in + fan_out))
    assert 0.99 * bound < module.weight.abs().max() <= bound
    assert not torch.any(module.bias)


def test_norms_are_left_alone():
    norm = nn.LayerNorm(4)
    xavier(norm)
    assert torch.all(norm.weight == 1)


def test_what_starts_at_zero_stays_there_and_draws_nothing():
    before = torch.get_rng_state()
    module = ZeroLinear(4, 4)
    xavier(module)
    assert not any(parameter.any() for parameter in module.parameters())
    assert torch.equal(torch.get_rng_state(), before)
