import dataclasses

import pytest
import torch

from iwm_core.config import EncoderConfig, ObjectiveConfig, PredictorConfig, TrialConfig
from iwm_core.errors import ConfigError
from iwm_core.objectives import table

CONFIG = TrialConfig(encoder=EncoderConfig(width=32), predictor=PredictorConfig(width=32))


def weights(seed):
    return table.build(dataclasses.replace(CONFIG, seed=seed)).state_dict()


def test_weights_are_a_function_of_the_seed():
    first, again, other = weights(3), weights(3), weights(4)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["predictor.leave.weight"], other["predictor.leave.weight"])


def test_building_leaves_the_global_random_state_alone():
    before = torch.get_rng_state()
    table.build(CONFIG)
    assert torch.equal(before, torch.get_rng_state())


def test_an_unknown_objective_is_named_with_the_valid_ones():
    with pytest.raises(ConfigError) as caught:
        table.build(dataclasses.replace(CONFIG, objective=ObjectiveConfig(kind="mae")))
    assert (caught.value.setting, caught.value.choices) == ("objective.kind", tuple(table.OBJECTIVES))
