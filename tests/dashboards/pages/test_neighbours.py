from dashboards.pages.neighbours import neighbours
from tests.fakes.results import sweep

AXES = {"conditioning": ["none", "feature"], "predictor.depth": [2, 4]}
RESULTS = sweep(AXES, measure=lambda levels, seed: {"mrr": 0.1}, seeds=(0, 1))


def test_neighbours_differ_in_one_axis_each():
    here = RESULTS.trials[0]
    found = [(one.axis, one.here, one.there) for one in neighbours(RESULTS, here)]
    assert found == [("conditioning", "none", "feature"), ("predictor depth", "2", "4"), ("seed", "0", "1")]
