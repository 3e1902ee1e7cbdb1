import pytest

from dashboards.scores import score, score_of
from tests.fakes.results import finished, trial


@pytest.mark.parametrize(
    ("protocol", "metric"),
    [
        ("knn", "knn_top1"),
        ("linear", "linear_probe_top1"),
        ("segmentation", "segmentation_miou"),
        ("per_class", "per_class_s100_top1"),
    ],
)
def test_a_protocol_has_one_score(protocol, metric):
    assert score_of(protocol) == metric
    done = trial({}, status=finished({metric: 0.5, "other": 1.0}), config={"evaluate.protocol": protocol})
    assert score(done) == 0.5


def test_a_protocol_without_a_score_has_none():
    assert score(trial({}, status=finished({"block_1": 0.5}), config={"evaluate.protocol": "knn"})) is None
