import dataclasses

import pytest
import torch

from iwm_core.config import TrialConfig, TuneConfig
from iwm_core.evaluation.finetune import cross_entropy, mixed

LABELS = torch.tensor([0, 1, 2, 2])
IMAGES = torch.arange(4.0)[:, None, None, None].expand(4, 3, 8, 8).contiguous()


def mix(step=0, **tune):
    return mixed(IMAGES, LABELS, classes=3, config=TrialConfig(tune=TuneConfig(**tune)), step=step)


def test_without_mixing_nothing_changes():
    x, share = mix()
    assert torch.equal(x, IMAGES)
    assert share.argmax(1).tolist() == LABELS.tolist()


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_an_image_s_share_is_that_of_its_pixels(kind):
    for step in range(5):
        x, share = mix(step, **{kind: 1.0})
        assert torch.allclose(share.sum(1), torch.ones(4))
        own = (x[0].mean() / 3).item()  # image 0 is all zeros, the other is all threes
        assert share[0, 2].item() == pytest.approx(own, abs=1e-6)
    assert not torch.equal(mix(0, **{kind: 1.0})[0], mix(1, **{kind: 1.0})[0])


def test_it_is_a_function_of_seed_and_step():
    assert torch.equal(mix(3, mixup=0.8, cutmix=1.0)[0], mix(3, mixup=0.8, cutmix=1.0)[0])


def test_smoothing_takes_from_the_class():
    config = TrialConfig()
    smooth = dataclasses.replace(config, tune=TuneConfig(label_smoothing=0.1))
    logits, share = torch.eye(3) * 9, torch.eye(3)
    assert cross_entropy(logits, share, config=config) < cross_entropy(logits, share, config=smooth)
