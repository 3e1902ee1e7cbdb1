import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from iwm_core.config import ConditioningConfig
from iwm_core.data import photometric, views
from iwm_core.data.datasets import load
from iwm_core.evaluation import mrr
from iwm_core.evaluation.subject import Subject
from iwm_core.models.targets import MovingAverage
from iwm_core.objectives import table as objectives


def under_test(config, model, target):
    return Subject(config=config, networks=model, target=target, device=torch.device("cpu"))


def measured(config, model, target):
    with torch.no_grad():
        return mrr.measure(under_test(config, model, target))


class Oracle(nn.Module):
    """Knows the image and the target encoder: undoes the action's definition and predicts exactly."""

    def __init__(self, config, target):
        super().__init__()
        self.config, self.target = config.photometric, target

    def encoder(self, x_BCSS):
        self.unit_BCSS = x_BCSS * torch.tensor(views.STD).view(3, 1, 1) + torch.tensor(views.MEAN).view(3, 1, 1)
        return self.target.encoder(x_BCSS)

    def predict(self, z_BND, a_BA, masks):
        jitter = self.config
        reach = [jitter.brightness_max, jitter.contrast_max, jitter.saturation_max, jitter.hue_max]
        params_BP = photometric.identity(len(a_BA))
        params_BP[:, :4] += a_BA[:, :4] * torch.tensor(reach)
        y_BCSS = photometric.apply(self.unit_BCSS.expand(len(a_BA), -1, -1, -1), params_BP, config=jitter)
        return self.target(views.normalise(y_BCSS)).at(masks.target_BM)


def test_a_predictor_without_conditioning_scores_the_floor(config, networks):
    metrics = measured(config, *networks)
    assert metrics["mrr_floor"] == mrr.floor(64)
    assert metrics["mrr"] == pytest.approx(metrics["mrr_floor"], abs=1e-4)
    assert metrics["mrr_patchwise"] == pytest.approx(metrics["mrr_floor"], abs=1e-4)
    assert metrics["hit1"] == pytest.approx(1 / 64)
    assert metrics["hit5_patchwise"] == pytest.approx(5 / 64)


def test_a_predictor_that_knows_what_the_action_does_scores_1(config, networks):
    _, target = networks
    metrics = measured(config, Oracle(config, target), target)
    assert {name: value for name, value in metrics.items() if name != "mrr_floor"} == {
        f"{name}{suffix}": 1.0 for name in ("mrr", "hit1", "hit5") for suffix in ("", "_patchwise")
    }


@pytest.mark.parametrize("kind", ["none", "sequence", "feature"])
def test_a_collapsed_encoder_scores_below_the_floor(config, kind):
    config = dataclasses.replace(config, conditioning=ConditioningConfig(kind=kind))
    model = objectives.build(config)
    nn.init.zeros_(model.encoder.vit.patch_embed.proj.weight)
    metrics = measured(config, model, MovingAverage(model.encoder, normalise=True))
    assert metrics["mrr"] == pytest.approx(1 / 64)
    assert metrics["mrr_patchwise"] == pytest.approx(1 / 64)
    assert metrics["hit5"] == 0


def test_chunks_do_not_change_the_bank(config, networks, monkeypatch):
    image_1CSS = load(config.data, split="test").centre(np.array([0]), size=32)
    subject = under_test(config, *networks)
    with torch.no_grad():
        whole = mrr.queries_and_bank(subject, image_1CSS=image_1CSS, index=0)
        monkeypatch.setattr(mrr, "CHUNK", 24)
        parts = mrr.queries_and_bank(subject, image_1CSS=image_1CSS, index=0)
    torch.testing.assert_close(parts, whole)


def test_the_bank_does_not_depend_on_the_trial_s_seed_or_strength(config):
    weaker = dataclasses.replace(config.photometric, strength=0.25, jitter_p=0.1)
    other = dataclasses.replace(config, seed=7, photometric=weaker)
    assert torch.equal(mrr.bank_parameters(config, index=5), mrr.bank_parameters(other, index=5))


def test_the_bank_depends_on_its_seed_its_strength_and_the_image(config):
    def bank(index=5, **changes):
        evaluate = dataclasses.replace(config.evaluate, **changes)
        return mrr.bank_parameters(dataclasses.replace(config, evaluate=evaluate), index=index)

    assert not torch.equal(bank(), bank(bank_seed=1))
    assert not torch.equal(bank(), bank(index=6))
    assert (bank(bank_strength=0.5)[:, 0] - 1).abs().max() <= 0.2
    assert torch.equal(bank(), bank(bank_size=256)[:64])


def test_every_view_of_the_bank_is_jittered_and_none_is_destroyed(config):
    params_KP = mrr.bank_parameters(config, index=0)
    identity_KP = photometric.identity(len(params_KP))
    jitters = [operation.jitter for operation in photometric.OPERATIONS.values()]
    assert [(params_KP != identity_KP)[:, column].any().item() for column in range(len(jitters))] == jitters
    assert (params_KP != identity_KP).any(1).all()


K, F = 64, 48


def latents(seed, rows=K):
    return torch.randn(rows, F, generator=torch.Generator().manual_seed(seed))


def mean_reciprocal_rank(p_KF, h_KF):
    return float(mrr.reciprocal_ranks(mrr.ranks(p_KF, h_KF)).mean())


def test_the_floor_is_the_mean_of_the_reciprocals():
    assert mrr.floor(1) == 1
    assert mrr.floor(4) == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4) / 4)
    assert mrr.floor(256) == pytest.approx(0.0239, abs=5e-5)


def test_a_perfect_prediction_ranks_first():
    h_KF = latents(0)
    assert mrr.ranks(h_KF, h_KF).tolist() == [1] * K


def test_a_good_prediction_ranks_between():
    h_KF = torch.arange(4.0)[:, None]
    p_KF = torch.tensor([[0.4], [0.4], [3.4], [3.4]])
    assert mrr.ranks(p_KF, h_KF).tolist() == [1, 2, 2, 1]


@pytest.mark.parametrize("rounding", [0, 1e-7])
def test_a_blind_prediction_scores_the_floor(rounding):
    scores = [mean_reciprocal_rank(latents(1, rows=1) + rounding * latents(2), latents(seed)) for seed in range(3, 13)]
    assert scores == pytest.approx([mrr.floor(K)] * 10, abs=1e-4)


@pytest.mark.parametrize("rounding", [0, 1e-7])
@pytest.mark.parametrize("blind", [True, False])
def test_a_collapsed_bank_scores_the_worst(blind, rounding):
    p_KF = latents(1, rows=1).expand(K, F) if blind else latents(1)
    h_KF = latents(2, rows=1) + rounding * latents(3)
    assert mean_reciprocal_rank(p_KF, h_KF) == pytest.approx(1 / K)


def test_predicting_a_collapsed_bank_exactly_does_not_help():
    h_KF = latents(2, rows=1) + 1e-7 * latents(3)
    assert mean_reciprocal_rank(h_KF, h_KF) == pytest.approx(1 / K)


def test_ties_take_the_worst_rank():
    d_KK = torch.tensor([[1.0, 1.0, 2.0], [0.0, 1.0, 2.0], [3.0, 3.0, 3.0]])
    assert mrr.ranks_of_distances(d_KK, equal_KK=torch.eye(3).bool()).tolist() == [2, 2, 3]


def test_equal_members_are_ties_whatever_their_distance():
    d_KK = torch.tensor([[1.0, 2.0, 3.0]] * 3)
    equal_KK = torch.tensor([[1, 1, 0], [1, 1, 0], [0, 0, 1]]).bool()
    assert mrr.ranks_of_distances(d_KK, equal_KK=equal_KK).tolist() == [2, 2, 3]


def test_nan_takes_the_worst_rank():
    h_KF = latents(0)
    p_KF = h_KF.clone()
    p_KF[3] = torch.nan
    assert mrr.ranks(p_KF, h_KF)[3] == K
    assert mrr.ranks(h_KF, torch.full_like(h_KF, torch.nan)).tolist() == [K] * K


def test_hits_count_ranks_up_to_a_limit():
    assert mrr.hits(torch.tensor([1, 5, 6]), within=5).tolist() == [1, 1, 0]
