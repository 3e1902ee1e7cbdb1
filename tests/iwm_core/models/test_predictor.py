import dataclasses

import pytest
import torch

from iwm_core.config import ConditioningConfig, PredictorConfig, TrialConfig
from iwm_core.data.masks import Masks
from iwm_core.data.photometric import ACTION_DIM
from iwm_core.errors import ConfigError
from iwm_core.models.conditioning import CONDITIONINGS
from iwm_core.models.predictor import Predictor

CONFIG = TrialConfig(predictor=PredictorConfig(width=32, depth=2, heads=2))
MASKS = Masks(torch.tensor([[0, 1, 2, 9], [4, 5, 6, 7]]), torch.tensor([[3, 8, 15], [0, 1, 2]]))
Z_BKE = torch.randn(2, 4, CONFIG.encoder.width, generator=torch.Generator().manual_seed(0))
A_BA = torch.randn(2, ACTION_DIM, generator=torch.Generator().manual_seed(1))


def made(kind):
    with torch.random.fork_rng():
        torch.manual_seed(2)
        predictor = Predictor(dataclasses.replace(CONFIG, conditioning=ConditioningConfig(kind=kind)))
        if kind == "adaln":  # as training leaves it: gates that are open
            for map_ in predictor.get_submodule("conditioning.modulate").children():
                torch.nn.init.normal_(map_.get_parameter("weight"), std=0.2)
                torch.nn.init.normal_(map_.get_parameter("bias"))
        return predictor


@pytest.mark.parametrize("kind", CONDITIONINGS)
def test_predicts_one_latent_of_the_encoders_width_per_target(kind):
    assert made(kind)(Z_BKE, A_BA, MASKS).shape == (2, 3, CONFIG.encoder.width)


def test_without_conditioning_the_action_changes_no_bit():
    predictor = made("none")
    assert torch.equal(predictor(Z_BKE, A_BA, MASKS), predictor(Z_BKE, -3 * A_BA, MASKS))


@pytest.mark.parametrize("kind", ["sequence", "feature", "adaln"])
def test_with_conditioning_every_scalar_of_the_action_counts(kind):
    predictor = made(kind)
    p_BME = predictor(Z_BKE, A_BA, MASKS)
    for scalar in range(ACTION_DIM):
        changed_BA = A_BA.clone()
        changed_BA[:, scalar] += 1
        assert not torch.allclose(p_BME, predictor(Z_BKE, changed_BA, MASKS), atol=1e-5)


def test_the_order_of_the_targets_is_the_order_of_the_predictions():
    predictor, order = made("feature"), [2, 0, 1]
    permuted = Masks(MASKS.context_BK, MASKS.target_BM[:, order])
    torch.testing.assert_close(
        predictor(Z_BKE, A_BA, permuted), predictor(Z_BKE, A_BA, MASKS)[:, order], atol=1e-5, rtol=0
    )


def test_adaln_starts_blind_and_opens_with_the_first_gradient():
    predictor = Predictor(dataclasses.replace(CONFIG, conditioning=ConditioningConfig(kind="adaln")))
    p_BME = predictor(Z_BKE, A_BA, MASKS)
    assert torch.equal(p_BME, predictor(2 * Z_BKE, -A_BA, MASKS))
    p_BME.square().sum().backward()
    for weight in (predictor.get_parameter(f"conditioning.modulate.{block}.weight") for block in (0, 1)):
        assert weight.grad is not None
        assert weight.grad.any()


@pytest.mark.parametrize("kind", CONDITIONINGS)
def test_noise_moves_the_queries_by_the_context_s_map(kind):
    predictor, noise_BME = made(kind), torch.randn(2, 3, CONFIG.encoder.width)
    plain_BME = predictor(Z_BKE, A_BA, MASKS)
    assert torch.equal(plain_BME, predictor(Z_BKE, A_BA, MASKS, noise_BME=0 * noise_BME))
    assert not torch.allclose(plain_BME, predictor(Z_BKE, A_BA, MASKS, noise_BME=noise_BME), atol=1e-4)
    with torch.no_grad():
        predictor.mask_token_D.add_(noise_BME[0, 0] @ predictor.enter.weight.T)
    same_BME = noise_BME[:1, :1].expand_as(noise_BME)
    moved_BME = predictor(Z_BKE, A_BA, MASKS)
    with torch.no_grad():
        predictor.mask_token_D.sub_(noise_BME[0, 0] @ predictor.enter.weight.T)
    torch.testing.assert_close(predictor(Z_BKE, A_BA, MASKS, noise_BME=same_BME), moved_BME, atol=1e-4, rtol=0)


def test_a_target_knows_its_position():
    p_BME = made("none")(Z_BKE, A_BA, MASKS)
    assert not torch.allclose(p_BME[:, 0], p_BME[:, 1], atol=1e-3)


@pytest.mark.parametrize(
    ("shape", "setting"), [(PredictorConfig(heads=3), "predictor.heads"), (PredictorConfig(depth=0), "predictor.depth")]
)
def test_sizes_that_do_not_fit_are_refused(shape, setting):
    with pytest.raises(ConfigError) as caught:
        Predictor(TrialConfig(predictor=shape))
    assert caught.value.setting == setting
