"""A step on the device is the step on the CPU, to the precision of its arithmetic."""

from functools import cache

import pytest
import torch

from iwm_core.training.step import optimise
from tests.gpu.trials import BF16_EPS, CASES, CPU, SMALL, WIDE, attempt, built, changed, images


@cache
def two_steps(case: str, precision: str, device: torch.device) -> tuple[float, float, float]:
    """Loss and gradient's norm of the first step, and the loss after its update."""
    config = changed(WIDE, {**CASES[case], "train.precision": precision})
    made, image_BCHW = built(config, device), images(config, device)
    first, second = (optimise(made, image_BCHW=image_BCHW, config=config) for _ in range(2))
    return float(first.loss), float(first.grad_norm), float(second.loss)


@pytest.mark.parametrize("case", CASES)
def test_in_fp32_it_is_the_cpus_to_a_few_roundings(case, device):
    assert torch.get_float32_matmul_precision() == "highest"  # no TF32
    (loss, norm, after), expected = two_steps(case, "fp32", device), two_steps(case, "fp32", CPU)
    assert loss == pytest.approx(expected[0], rel=1e-5)
    assert norm == pytest.approx(expected[1], rel=1e-4)
    assert after == pytest.approx(expected[2], rel=1e-4)


@pytest.mark.parametrize("case", CASES)
def test_in_bf16_it_is_the_cpus_to_the_precision_of_bf16(case, device):
    """A product is off by at most half of BF16_EPS = 2^-7 of its size; a mean over thousands of them by less."""
    (loss, norm, after), expected = two_steps(case, "bf16", device), two_steps(case, "fp32", CPU)
    assert loss != expected[0]
    assert loss == pytest.approx(expected[0], rel=BF16_EPS)
    assert norm == pytest.approx(expected[1], rel=4 * BF16_EPS)
    assert after == pytest.approx(expected[2], rel=2 * BF16_EPS)


@pytest.mark.parametrize(("precision", "rel"), [("fp32", 1e-3), ("bf16", 2 * BF16_EPS)])
def test_two_runs_that_are_not_deterministic_agree(precision, rel, device, tmp_path):
    config = changed(SMALL, {"train.precision": precision, "train.deterministic": False})
    one, other = (attempt(config, device, folder=tmp_path / name) for name in ("one", "other"))
    assert list(one.curve) == list(other.curve) == [2, 4, 6, 8]
    for step, metrics in one.curve.items():
        for name in ("loss", "target_std", "prediction_std"):
            assert other.curve[step][name] == pytest.approx(metrics[name], rel=rel), (step, name)
