import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from iwm_core.config import ConditioningConfig
from iwm_core.data import photometric, views
from iwm_core.data.datasets import load
from iwm_core.evaluation import mrr, ranking
from iwm_core.models.targets import MovingAverage
from iwm_core.objectives import table as objectives

CPU = torch.device("cpu")


def measured(config, model, target):
    with torch.no_grad():
        return mrr.measure(config, networks=model, target=target, device=CPU, data_root="")


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
    assert metrics["mrr_floor"] == ranking.floor(64)
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
    model, target = networks
    with torch.no_grad():
        whole = mrr.queries_and_bank(image_1CSS, index=0, config=config, networks=model, target=target)
        monkeypatch.setattr(mrr, "CHUNK", 24)
        parts = mrr.queries_and_bank(image_1CSS, index=0, config=config, networks=model, target=target)
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
