import pytest
import torch

from iwm_core.data.masks import Masks
from iwm_core.data.photometric import ACTION_DIM
from iwm_core.data.views import Views
from iwm_core.training import state
from iwm_core.training.objective import PREDICTION_LOSSES, iwm_loss, prediction_loss

DRAW = torch.Generator().manual_seed(0)
VIEW = Views(
    x_BCHW=torch.randn(2, 3, 16, 16, generator=DRAW),
    y_BCHW=torch.randn(2, 3, 16, 16, generator=DRAW),
    a_BA=torch.randn(2, ACTION_DIM, generator=DRAW),
)
MASKS = Masks(context_BK=torch.tensor([[0, 1], [2, 3]]), target_BM=torch.tensor([[4, 5, 9], [8, 15, 0]]))


@pytest.fixture
def made(tiny):
    return state.build(tiny, device=torch.device("cpu"))


def test_is_the_papers_equation(made):
    terms = iwm_loss(made.world_model, made.target, view=VIEW, masks=MASKS, loss="mse")
    h_BND, z_BKD = made.target(VIEW.y_BCHW).h_BND, made.world_model.encoder(VIEW.x_BCHW, keep_BK=MASKS.context_BK)
    p_BMD = made.world_model.predictor(z_BKD, VIEW.a_BA, MASKS)
    squares = [(p_BMD[b, j] - h_BND[b, MASKS.target_BM[b, j]]).square().mean() for b in range(2) for j in range(3)]
    torch.testing.assert_close(terms.loss, torch.stack(squares).mean())


def test_gradient_reaches_the_world_model_and_stops_at_the_target(made):
    iwm_loss(made.world_model, made.target, view=VIEW, masks=MASKS, loss="mse").loss.backward()
    trained = [parameter for parameter in made.world_model.parameters() if parameter.requires_grad]
    assert all(parameter.grad is not None for parameter in trained)
    assert all(parameter.grad is None for parameter in made.target.parameters())


@pytest.mark.parametrize(("kind", "expected"), [("mse", (0.25 + 9) / 2), ("smooth_l1", (0.125 + 2.5) / 2)])
def test_losses_are_means_of_their_formula(kind, expected):
    p_BMD, h_BMD = torch.tensor([[[0.5, 3.0]]]), torch.zeros(1, 1, 2)
    assert prediction_loss(p_BMD, h_BMD, kind=kind).item() == pytest.approx(expected)


@pytest.mark.parametrize("kind", PREDICTION_LOSSES)
def test_the_loss_is_fp32_whatever_the_network_computes_in(kind):
    half = torch.ones(1, 2, 3, dtype=torch.bfloat16)
    assert prediction_loss(half, half, kind=kind).dtype == torch.float32
