import pytest

from iwm_core.config import TrialConfig, from_dict
from iwm_core.errors import ConfigError
from orchestrator.planning.limits import check
from orchestrator.trial.sweep import Resources

KINDS = ("none", "sequence", "feature")
PROTOCOLS = ("mrr", "knn")


def test_the_defaults_are_within_limits():
    check(TrialConfig(), Resources(), conditionings=KINDS, protocols=PROTOCOLS)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"train": {"steps": 0}}, r"train\.steps must be at least 1, not 0"),
        ({"photometric": {"blur_p": 1.5}}, r"photometric\.blur_p must be between 0 and 1, not 1\.5"),
        ({"conditioning": {"kind": "film"}}, "unknown conditioning 'film'; choose from none, sequence, feature"),
        ({"predictor": {"heads": 3}}, r"predictor\.width 64 must be a multiple of predictor\.heads 3"),
        ({"encoder": {"width": 6}}, r"encoder\.width 6 must be a multiple of encoder\.heads 2 and of 4"),
        ({"encoder": {"patch_size": 5}}, r"data\.image_size=32 is not a multiple of encoder\.patch_size=5"),
        ({"target": "mean"}, "unknown target 'mean'; choose from ema, frozen:<name of a timm model>"),
        ({"objective": {"kind": "vicreg"}}, r"objective\.kind=vicreg needs conditioning\.kind=none"),
        ({"predictor": {"position_noise": -1}}, r"predictor\.position_noise must be at least 0, not -1"),
        ({"masks": {"target_ratio": 0.99}}, r"masks\.target_ratio=0\.99"),
    ],
)
def test_what_cannot_work_is_refused_before_it_is_queued(raw, said):
    with pytest.raises(ConfigError, match=said):
        check(from_dict(TrialConfig, raw), Resources(), conditionings=KINDS, protocols=PROTOCOLS)


def test_resources_have_limits_too():
    with pytest.raises(ConfigError, match=r"resources\.slots must be at least 1, not 0"):
        check(TrialConfig(), Resources(slots=0), conditionings=KINDS, protocols=PROTOCOLS)
