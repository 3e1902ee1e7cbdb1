import dataclasses

import pytest
import torch

from iwm_core.data.masks import Masks
from iwm_core.data.photometric import ACTION_DIM
from iwm_core.data.views import Views
from iwm_core.objectives.iwm import IWM, Drawn
from iwm_core.objectives.objective import Part
from iwm_core.training import state

DRAW = torch.Generator().manual_seed(0)
VIEW = Views(
    x_BCHW=torch.randn(2, 3, 16, 16, generator=DRAW),
    y_BCHW=torch.randn(2, 3, 16, 16, generator=DRAW),
    a_BA=torch.randn(2, ACTION_DIM, generator=DRAW),
)
MASKS = Masks(context_BK=torch.tensor([[0, 1], [2, 3]]), target_BM=torch.tensor([[4, 5, 9], [8, 15, 0]]))
DRAWN = Drawn(VIEW, MASKS)


@pytest.fixture
def made(tiny):
    return state.build(tiny, device=torch.device("cpu"))


def test_forward_is_the_predictor_on_the_visible_latents(made):
    z_BKD = made.networks.encoder(VIEW.x_BCHW, keep_BK=MASKS.context_BK)
    p_BMD = made.networks(VIEW.x_BCHW, VIEW.a_BA, MASKS)
    assert torch.equal(p_BMD, made.networks.predict(z_BKD, VIEW.a_BA, MASKS))


def test_predict_takes_latents_of_all_patches(made):
    every_BN = torch.arange(16).expand(2, -1)
    p_BND = made.networks.predict(made.networks.encoder(VIEW.x_BCHW), VIEW.a_BA, Masks(every_BN, every_BN))
    assert p_BND.shape == (2, 16, 16)


def test_is_the_papers_equation(made, tiny):
    terms = IWM.loss(made.networks, made.target, DRAWN, tiny)
    h_BND, z_BKD = made.target(VIEW.y_BCHW).h_BND, made.networks.encoder(VIEW.x_BCHW, keep_BK=MASKS.context_BK)
    p_BMD = made.networks.predictor(z_BKD, VIEW.a_BA, MASKS)
    squares = [(p_BMD[b, j] - h_BND[b, MASKS.target_BM[b, j]]).square().mean() for b in range(2) for j in range(3)]
    torch.testing.assert_close(terms.loss, torch.stack(squares).mean())


def test_gradient_reaches_the_world_model_and_stops_at_the_target(made, tiny):
    IWM.loss(made.networks, made.target, DRAWN, tiny).loss.backward()
    trained = [parameter for parameter in made.networks.parameters() if parameter.requires_grad]
    assert all(parameter.grad is not None for parameter in trained)
    assert all(parameter.grad is None for parameter in made.target.parameters())


IMAGE_BCHW = torch.randint(0, 256, (8, 3, 16, 16), dtype=torch.uint8, generator=DRAW)


def test_stochastic_positions_are_drawn_for_training_by_sample(tiny):
    noisy = dataclasses.replace(tiny, predictor=dataclasses.replace(tiny.predictor, position_noise=0.25))
    whole, part = (IWM.draw(Part(image_BCHW=IMAGE_BCHW[at:], step=5, first=at), noisy) for at in (0, 6))
    assert IWM.draw(Part(image_BCHW=IMAGE_BCHW, step=5), tiny).noise_BMD is None
    assert torch.equal(whole.noise_BMD[6:], part.noise_BMD)


def test_stochastic_positions_change_the_loss(made, tiny):
    noise_BMD = torch.randn(2, 3, tiny.encoder.width, generator=DRAW)
    losses = [IWM.loss(made.networks, made.target, Drawn(VIEW, MASKS, n), tiny).loss for n in (None, noise_BMD)]
    assert losses[0] != losses[1]
