"""Every objective learns, and what is killed and resumed ends with the bits of what was not."""

import pytest
import torch

from iwm_core.config import TrialConfig, flatten, from_dict, to_dict
from iwm_core.events import Finished, is_telemetry
from iwm_core.objectives.table import OBJECTIVES
from iwm_core.training import state
from iwm_core.training.step import optimise

IJEPA = {
    "objective.kind": "ijepa",
    "objective.loss": "smooth_l1",
    "conditioning.kind": "none",
    "masks.kind": "multiblock",
    "masks.sequences": "blocks",
    "masks.context_ratio": 0.25,
    "masks.target_ratio": 0.14,
}
KINDS = {
    "iwm": {},
    "iwm with adaln": {"conditioning.kind": "adaln"},
    "iwm with stochastic positions": {"predictor.position_noise": 0.25},
    "ijepa": IJEPA,
    "ijepa with stochastic positions": {**IJEPA, "predictor.position_noise": 0.25},
    "ijepa with official masks": {**IJEPA, "encoder.patch_size": 2, "masks.official_quirks": True},
    "vicreg": {"objective.kind": "vicreg", "conditioning.kind": "none"},
}
IMAGE_BCHW = torch.randint(0, 256, (8, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def changed(config, settings):
    """`config` with the `settings`, named as on the command line."""
    raw = to_dict(config)
    for key, value in settings.items():
        assert key in flatten(raw)
        *groups, name = key.split(".")
        inner = raw
        for group in groups:
            inner = inner[group]
        inner[name] = value
    return from_dict(TrialConfig, raw)


def test_every_objective_is_trained_here():
    assert {name.split()[0] for name in KINDS} == set(OBJECTIVES)


@pytest.mark.parametrize("name", KINDS)
def test_the_loss_falls(tiny, name):
    config = changed(tiny, {"optim.ema": 0.9, "train.steps": 60, **KINDS[name]})
    made = state.build(config, device=torch.device("cpu"))
    losses = [optimise(made, image_BCHW=IMAGE_BCHW, config=config).loss.item() for _ in range(60)]
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])


@pytest.mark.parametrize("name", KINDS)
def test_killed_and_resumed_it_ends_with_the_same_weights_and_metrics(tiny, run, tmp_path, name):
    config = changed(tiny, KINDS[name])
    twin = run(config, folder=tmp_path / "twin")
    run(config, kill_after=6)
    ended = run(config, attempt=1)
    assert ended.resumed_from == 4
    assert isinstance(ended.end, Finished)
    assert isinstance(twin.end, Finished)
    assert untimed(ended.end) == untimed(twin.end)


def untimed(end):
    return end.weights_sha256, {name: value for name, value in end.metrics.items() if not is_telemetry(name)}
