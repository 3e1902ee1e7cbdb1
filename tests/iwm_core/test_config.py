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
    ("raw", "message"),
    [
        ({"sede": 1}, "unknown setting 'sede'; choose from seed, data"),
        ({"train": {"step": 1}}, "unknown setting 'train.step'; choose from steps"),
        ({"train": 3}, "'train' is a group of settings, not 3"),
        ({"seed": 1.5}, "'seed' must be a whole number, not 1.5"),
        ({"seed": True}, "'seed' must be a whole number, not True"),
        ({"optim": {"lr": "fast"}}, "'optim.lr' must be a finite number, not 'fast'"),
        ({"optim": {"lr": float("nan")}}, "'optim.lr' must be a finite number, not nan"),
        ({"train": {"precision": "fp8"}}, "unknown train.precision 'fp8'; choose from fp32, bf16"),
        ({"train": {"deterministic": "yes"}}, "'train.deterministic' must be true or false, not 'yes'"),
    ],
)
def test_what_cannot_be_is_named(raw, message):
    with pytest.raises(ConfigError) as error:
        from_dict(TrialConfig, raw)
    assert str(error.value).startswith(message)


def test_a_field_may_be_left_open():
    assert from_dict(TrialConfig, {"train": {"deterministic": None}}).train.deterministic is None
    assert from_dict(TrialConfig, {"train": {"deterministic": False}}).train.deterministic is False


def test_flatten():
    assert flatten({"a": {"b": {"c": 1}}, "d": 2}) == {"a.b.c": 1, "d": 2}
    assert "train.steps" in flatten(to_dict(TrialConfig()))


def test_every_field_has_a_default_so_that_old_ids_stay():
    for kind in (TrialConfig, RuntimeConfig):
        kind()
