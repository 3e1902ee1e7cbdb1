"""Configurations as values."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iwm_core.config import RuntimeConfig, TrialConfig, flatten, from_dict, non_defaults, to_dict
from iwm_core.errors import ConfigError


def test_there_and_back():
    config = TrialConfig(seed=7, train=dataclasses.replace(TrialConfig().train, steps=3))
    assert from_dict(TrialConfig, to_dict(config)) == config
    assert from_dict(TrialConfig, non_defaults(config)) == config
    assert non_defaults(config) == {"seed": 7, "train": {"steps": 3}}
    assert non_defaults(TrialConfig()) == {}


@given(st.integers(-(10**6), 10**6))
def test_one_and_one_point_zero_are_one_value(number):
    as_float = from_dict(TrialConfig, {"optim": {"lr": number}, "seed": float(number)})
    assert as_float == from_dict(TrialConfig, {"optim": {"lr": float(number)}, "seed": number})
    assert isinstance(as_float.optim.lr, float)
    assert isinstance(as_float.seed, int)


@pytest.mark.parametrize(
    ("raw", "setting", "choice"),
    [
        ({"sede": 1}, "sede", "seed"),
        ({"train": {"step": 1}}, "train.step", "steps"),
        ({"train": 3}, "train", None),
        ({"seed": 1.5}, "seed", None),
        ({"seed": True}, "seed", None),
        ({"optim": {"lr": "fast"}}, "optim.lr", None),
        ({"optim": {"lr": float("nan")}}, "optim.lr", None),
        ({"train": {"precision": "fp8"}}, "train.precision", "bf16"),
        ({"train": {"deterministic": "yes"}}, "train.deterministic", None),
    ],
)
def test_a_wrong_setting_is_named(raw, setting, choice):
    with pytest.raises(ConfigError) as caught:
        from_dict(TrialConfig, raw)
    assert caught.value.setting == setting
    assert choice in caught.value.choices if choice else not caught.value.choices


def test_a_field_may_be_left_open():
    assert from_dict(TrialConfig, {"train": {"deterministic": None}}).train.deterministic is None
    assert from_dict(TrialConfig, {"train": {"deterministic": False}}).train.deterministic is False


def test_flatten():
    assert flatten({"a": {"b": {"c": 1}}, "d": 2}) == {"a.b.c": 1, "d": 2}
    assert "train.steps" in flatten(to_dict(TrialConfig()))


def test_every_field_has_a_default_so_that_old_ids_stay():
    for kind in (TrialConfig, RuntimeConfig):
        kind()
