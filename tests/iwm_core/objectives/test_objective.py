import pytest
import torch

from iwm_core.objectives.objective import PREDICTION_LOSSES, full_precision, prediction_loss


@pytest.mark.parametrize(("kind", "expected"), [("mse", (0.25 + 9) / 2), ("smooth_l1", (0.125 + 2.5) / 2)])
def test_losses_are_means_of_their_formula(kind, expected):
    p_BMD, h_BMD = torch.tensor([[[0.5, 3.0]]]), torch.zeros(1, 1, 2)
    assert prediction_loss(p_BMD, h_BMD, kind=kind).item() == pytest.approx(expected)


@pytest.mark.parametrize("kind", PREDICTION_LOSSES)
def test_the_loss_is_fp32_whatever_the_network_computes_in(kind):
    half = torch.ones(1, 2, 3, dtype=torch.bfloat16)
    assert prediction_loss(half, half, kind=kind).dtype == torch.float32


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_products_in_full_precision_are_fp32_under_autocast_on_any_device(device):
    x = torch.ones(2, 2, device=device)
    with torch.autocast("cpu", dtype=torch.bfloat16), full_precision(x.device):
        assert (x @ x).dtype == torch.float32
