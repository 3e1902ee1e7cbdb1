import pytest

from iwm_core.config import TrialConfig, from_dict
from iwm_core.errors import ConfigError
from orchestrator.planning.limits import check
from orchestrator.trial.sweep import Resources


def test_the_defaults_are_within_limits():
    check(TrialConfig(), Resources())


@pytest.mark.parametrize(
    ("raw", "setting"),
    [
        ({"train": {"steps": 0}}, "train.steps"),
        ({"train": {"accumulate": -1}}, "train.accumulate"),
        ({"photometric": {"blur_p": 1.5}}, "photometric.blur_p"),
        ({"conditioning": {"kind": "film"}}, "conditioning.kind"),
        ({"predictor": {"heads": 3}}, "predictor.width"),
        ({"encoder": {"width": 6}}, "encoder.width"),
        ({"target": "mean"}, "target"),
        ({"predictor": {"position_noise": -1}}, "predictor.position_noise"),
    ],
)
def test_what_cannot_work_is_refused_before_it_is_queued(raw, setting):
    with pytest.raises(ConfigError) as caught:
        check(from_dict(TrialConfig, raw), Resources())
    assert caught.value.setting == setting


def test_what_was_trained_with_a_negative_number_can_be_evaluated():
    check(from_dict(TrialConfig, {"optim": {"weight_decay_final": -0.1}}), Resources(gpus=-2))


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ({"encoder": {"patch_size": 5}}, "encoder.patch_size"),
        ({"objective": {"kind": "vicreg"}}, "conditioning.kind"),
        ({"masks": {"target_ratio": 0.99}}, "masks.target_ratio"),
    ],
)
def test_what_the_core_refuses_is_refused_too(raw, name):
    with pytest.raises(ConfigError) as caught:
        check(from_dict(TrialConfig, raw), Resources())
    assert name in str(caught.value)


def test_resources_have_limits_too():
    with pytest.raises(ConfigError) as caught:
        check(TrialConfig(), Resources(slots=0))
    assert (caught.value.setting, caught.value.value) == ("resources.slots", 0)
