import dataclasses

import pytest
import torch

from iwm_core.config import (
    ConditioningConfig,
    DataConfig,
    EncoderConfig,
    MasksConfig,
    ObjectiveConfig,
    PredictorConfig,
    TrainConfig,
    TrialConfig,
)
from iwm_core.models.block import recompute
from iwm_core.objectives.table import OBJECTIVES
from iwm_core.training import state
from iwm_core.training.flops import BF16_PEAKS, peak, step_flops

BF16 = TrainConfig(precision="bf16")


def counted(config):
    built = state.build(config, device=torch.device("cpu"))
    return step_flops(built.networks, built.target, config=config)


@pytest.mark.parametrize(
    ("width", "depth", "context", "gflops", "shares"),
    [
        (768, 12, 59, 85.6, (41, 36, 23)),
        (768, 18, 59, 95.5, (37, 32, 31)),
        (768, 18, 109, 133.2, (26, 43, 31)),
        (384, 18, 59, 46.8, (20, 17, 64)),
    ],
)
def test_a_step_costs_what_its_formula_says(width, depth, context, gflops, shares):
    """GFLOP per image and shares of target, context and predictor (384 wide), as derived for whole last blocks."""
    cost = counted(
        TrialConfig(
            data=DataConfig(image_size=224),
            encoder=EncoderConfig(patch_size=16, width=width, depth=12, heads=width // 64),
            predictor=PredictorConfig(width=384, depth=depth, heads=width // 64),
            conditioning=ConditioningConfig(kind="none"),
            masks=MasksConfig(context_ratio=context / 196, target_ratio=87 / 196),
        )
    )
    parts = cost.target, cost.context_forward + cost.context_backward, cost.predictor_forward + cost.predictor_backward
    assert cost.total / 1e9 == pytest.approx(gflops, rel=0.02)
    assert [100 * part / cost.total for part in parts] == pytest.approx(shares, abs=1)


def test_an_encoder_by_hand(tiny):
    """Per token of width D and depth 1: 24 D^2 + 4 D S in a block, 6 D p^2 in the patch embedding."""
    D, pixels, seen, every = 16, 16, 7, 16
    expected = {tokens: tokens * (24 * D**2 + 4 * D * tokens + 6 * D * pixels) for tokens in (seen, every)}
    cost = counted(tiny)
    assert (cost.context_forward, cost.target) == (expected[seen], expected[every])
    assert cost.context_backward == 2 * cost.context_forward - seen * 6 * D * pixels  # no gradient of the pixels


@pytest.mark.parametrize("kind", OBJECTIVES)
def test_every_objective_can_be_counted(tiny, kind):
    config = dataclasses.replace(
        tiny,
        objective=ObjectiveConfig(kind=kind),
        conditioning=ConditioningConfig(kind="none"),
        masks=dataclasses.replace(tiny.masks, sequences="blocks" if kind == "ijepa" else "union"),
    )
    parts = vars(counted(config))
    assert parts.pop("target") >= 0
    assert min(parts.values()) > 0


def test_what_is_computed_a_second_time_does_not_count(tiny):
    built = state.build(tiny, device=torch.device("cpu"))
    once = step_flops(built.networks, built.target, config=tiny)
    recompute(built.networks)
    assert step_flops(built.networks, built.target, config=tiny) == once


def test_counting_leaves_the_networks_alone(tiny):
    built = state.build(tiny, device=torch.device("cpu"))
    before = state.weights_sha256(built)
    step_flops(built.networks, built.target, config=tiny)
    assert state.weights_sha256(built) == before
    assert all(weight.grad is None for weight in built.networks.parameters())


@pytest.mark.parametrize(
    ("name", "flops"),
    [
        ("NVIDIA H200", 989.5e12),
        ("NVIDIA H100 80GB HBM3", 989.5e12),
        ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA A100-SXM4-80GB", 312e12),
        ("NVIDIA L40S", 362e12),
        ("NVIDIA L40", None),
        ("NVIDIA GeForce GTX 1080", None),
        ("AMD EPYC (AVX512)", None),
    ],
)
def test_a_peak_is_known_or_none(name, flops):
    assert peak(name, train=BF16) == flops


def test_peaks_are_of_bf16_alone():
    assert not any(peak(name, train=TrainConfig()) for name in BF16_PEAKS)
