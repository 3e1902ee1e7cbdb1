import dataclasses

import numpy as np
import pytest
import torch

from iwm_core.data.datasets import load
from iwm_core.evaluation import latents, probes
from iwm_core.evaluation.protocols import measured as measured_by
from iwm_core.evaluation.subject import Subject
from iwm_core.models.targets import MovingAverage
from iwm_core.objectives import table as objectives

CPU = torch.device("cpu")


def measured(config, *, target_seed=0):
    model = objectives.build(config)
    target = MovingAverage(objectives.build(dataclasses.replace(config, seed=target_seed)).encoder, normalise=True)
    return measured_by(probes.measure, Subject(config=config, networks=model, target=target, device=CPU))


def test_every_probe_of_the_digits_beats_the_majority(config):
    metrics = measured(config)
    assert metrics["probes_converged"] == 1
    assert 0.05 < metrics["majority_top1"] < 0.2
    assert all(metrics[f"{name}_top1"] > metrics["majority_top1"] + 0.05 for name in probes.PROBES)
    assert metrics["pixel_probe_top1"] > 0.6


def test_probes_are_a_function_of_trial_and_weights(config):
    """Rows of the random encoder are those of a freshly built one, whatever the target has become."""
    untrained, again, changed = measured(config), measured(config), measured(config, target_seed=1)
    assert untrained == again
    assert untrained["linear_probe_top1"] == untrained["random_probe_top1"]
    assert untrained["linear_probe_tokens_top1"] == untrained["random_probe_tokens_top1"]
    moved = {name for name in untrained if untrained[name] != changed[name]}
    assert moved == {"linear_probe_top1", "linear_probe_tokens_top1"}


def test_a_split_is_read_with_its_labels(config, networks):
    subject = Subject(config=config, networks=networks[0], target=networks[1], device=CPU)
    encoders = {"random": networks[0].encoder.eval()}

    def of(image_BCSS, _):
        return probes.features(image_BCSS, encoders=encoders)

    with torch.no_grad():
        split = latents.read(subject, split="test", features=of)
        dataset = load(config.data, split="test")
        last = np.array([len(dataset) * 299 // 300])
        expected = of(dataset.centre(last, size=32), last)
    assert {name: one.features.shape for name, one in split.items()} == {
        "pixels": (300, 3072),
        "random pooled": (300, 64),
        "random tokens": (300, 1024),
    }
    assert all(one.labels[-1] == dataset.labels[last[0]] for one in split.values())
    assert np.allclose(split["random tokens"].features[-1], expected["random tokens"][0], atol=1e-5)


@pytest.mark.parametrize(
    ("channels", "grid", "features"), [(64, 4, 1024), (3, 32, 3072), (768, 14, 3072), (5000, 2, 5000)]
)
def test_features_are_averaged_where_there_are_too_many(channels, grid, features):
    x_BCGG = torch.randn(2, channels, grid, grid)
    found_BF = probes.side_by_side(x_BCGG)
    assert found_BF.shape == (2, features)
    torch.testing.assert_close(found_BF.mean(1), x_BCGG.mean((1, 2, 3)))
