import dataclasses

import pytest
import torch

from iwm_core.config import ConditioningConfig, ObjectiveConfig
from iwm_core.data.masks import Masks
from iwm_core.data.photometric import ACTION_DIM
from iwm_core.data.views import Views
from iwm_core.evaluation.mrr import floor
from iwm_core.evaluation.subject import evaluation_mode
from iwm_core.events import Finished
from iwm_core.objectives.objective import Part
from iwm_core.objectives.vicreg import VICREG, covariance, variance
from iwm_core.training import state

CPU = torch.device("cpu")
DRAW = torch.Generator().manual_seed(0)
VIEW = Views(
    x_BCHW=torch.randn(8, 3, 16, 16, generator=DRAW),
    y_BCHW=torch.randn(8, 3, 16, 16, generator=DRAW),
    a_BA=torch.randn(8, ACTION_DIM, generator=DRAW),
)
IMAGE_BCHW = torch.randint(0, 256, (8, 3, 16, 16), dtype=torch.uint8, generator=DRAW)


@pytest.fixture
def config(tiny):
    objective = ObjectiveConfig(kind="vicreg", expander_width=24)
    return dataclasses.replace(tiny, objective=objective, conditioning=ConditioningConfig(kind="none"))


def test_the_terms_are_those_of_the_formula():
    u_BE = torch.tensor([[0.0, 0.0], [2.0, 0.5], [4.0, 1.0]])
    assert variance(u_BE).item() == pytest.approx((0 + 1 - (0.25 + 1e-4) ** 0.5) / 2)
    assert covariance(u_BE).item() == pytest.approx((1.0**2 + 1.0**2) / 2)


def test_the_loss_is_their_weighted_sum(config):
    made = state.build(config, device=CPU)
    terms = VICREG.loss(made.networks, made.target, VIEW, config)
    u_BE, v_BE = (made.networks.get_submodule("expander")(made.networks.encoder(x).mean(1)) for x in VIEW_OF)
    expected = 25 * (u_BE - v_BE).square().mean() + sum(25 * variance(e) + covariance(e) for e in (u_BE, v_BE))
    torch.testing.assert_close(terms.loss, expected)


VIEW_OF = (VIEW.x_BCHW, VIEW.y_BCHW)


def test_equal_views_of_different_images_leave_variance_and_covariance_alone(config):
    made = state.build(config, device=CPU)
    same = dataclasses.replace(VIEW, y_BCHW=VIEW.x_BCHW)
    objective = dataclasses.replace(config.objective, variance=0.0, covariance=0.0)
    invariant = dataclasses.replace(config, objective=objective)
    assert VICREG.loss(made.networks, made.target, same, invariant).loss.item() == pytest.approx(0, abs=1e-10)
    assert VICREG.loss(made.networks, made.target, VIEW, invariant).loss > 0


def test_the_health_is_that_of_layer_normed_latents(config):
    made = state.build(config, device=CPU)
    terms = VICREG.loss(made.networks, made.target, VIEW, config)
    assert terms.h_BND.shape == terms.p_BMD.shape == (8, 16, config.encoder.width)
    assert not terms.h_BND.requires_grad
    torch.testing.assert_close(terms.h_BND.square().mean(-1), torch.ones(8, 16), atol=1e-3, rtol=0)


def test_what_is_predicted_is_what_was_given(config):
    made = state.build(config, device=CPU)
    z_BKD, a_BA = torch.randn(2, 3, config.encoder.width), torch.randn(2, ACTION_DIM)
    context_BK, target_BM = torch.tensor([[1, 4, 9], [0, 2, 15]]), torch.tensor([[4, 5], [15, 3]])
    p_BMD = made.networks.predict(z_BKD, a_BA, Masks(context_BK, target_BM))
    assert torch.equal(p_BMD[:, 0], torch.stack([z_BKD[0, 1], z_BKD[1, 2]]))
    torch.testing.assert_close(p_BMD[:, 1], z_BKD.mean(1))


def test_only_weights_are_kept_and_evaluation_changes_none_of_them(config):
    made = state.build(config, device=CPU)
    assert set(made.networks.state_dict()) == {name for name, _ in made.networks.named_parameters()}
    before = state.weights_sha256(made)
    with evaluation_mode(made.networks):
        VICREG.loss(made.networks, made.target, VIEW, config)
    assert state.weights_sha256(made) == before


def test_a_sample_s_views_are_those_of_the_whole_batch(config):
    whole, part = (VICREG.draw(Part(image_BCHW=IMAGE_BCHW[at:], step=5, first=at), config) for at in (0, 6))
    assert torch.equal(whole.x_BCHW[6:], part.x_BCHW)


def test_without_a_predictor_the_reciprocal_rank_is_the_floor(config, run):
    end = run(config).end
    assert isinstance(end, Finished)
    assert end.metrics["mrr"] == pytest.approx(floor(config.evaluate.bank_size))
    assert {"linear_probe_top1", "random_probe_top1"} <= set(end.metrics)
