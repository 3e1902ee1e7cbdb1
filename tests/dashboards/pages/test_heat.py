import pytest

from dashboards.cells import tabulate
from dashboards.pages.heat import heat
from orchestrator.errors import RequestError
from orchestrator.trial.lifecycle import State, TrialStatus
from tests.fakes.results import sweep

AXES = {"conditioning": ["none", "feature"], "predictor.depth": [4, 2], "photometric.strength": [0.25, 1.0]}
RUNNING = TrialStatus(state=State.RUNNING, step=30, total_steps=100)


def measure(levels, seed):
    return {"mrr": 0.1 * levels.get("predictor.depth", 1) + 0.01 * seed, "loss": 1.0}


def grid(axes=AXES, **chosen):
    unfinished = chosen.pop("unfinished", None)
    return heat(tabulate(sweep(axes, measure=measure, seeds=(0, 1), unfinished=unfinished)), **chosen)


def test_two_axes_make_the_grid_and_the_rest_small_multiples():
    shown = grid()
    assert (shown.metric, shown.rows.axis, shown.columns.axis) == ("mrr", "conditioning", "predictor.depth")
    assert (shown.rows.names, shown.columns.names) == (("none", "feature"), ("2", "4"))
    assert [panel.name for panel in shown.panels.items] == ["photometric strength 0.25", "photometric strength 1.0"]
    squares = [[(square.text, square.share) for square in line if square] for line in shown.panels.items[0].squares]
    assert squares == [[("0.205", 0.0), ("0.405", 1.0)]] * 2


def test_axes_and_metric_are_chosen_and_nonsense_is_refused():
    shown = grid(rows="photometric.strength", columns="conditioning", metric="loss")
    assert (shown.rows.axis, shown.columns.axis, shown.metric) == ("photometric.strength", "conditioning", "loss")
    for wrong, choices in (({"metric": "acc"}, ("loss", "mrr")), ({"columns": "depth"}, tuple(AXES))):
        with pytest.raises(RequestError) as caught:
            grid(**wrong)
        assert caught.value.choices == choices
    assert grid(rows="predictor.depth", columns="predictor.depth").columns.axis == "conditioning"


def test_a_metric_may_be_asked_for_before_a_trial_has_finished():
    unfinished = {("none", 0): RUNNING, ("none", 1): RUNNING}
    assert grid({"conditioning": ["none"]}, unfinished=unfinished, metric="mrr").metric == ""


@pytest.mark.parametrize("axes", [{}, {"predictor.depth": [2, 4]}])
def test_few_axes_make_a_small_grid(axes):
    shown = grid(axes)
    assert shown.columns.axis == ""
    assert len(shown.panels.items[0].squares) == len(shown.rows.names) == max(1, len(axes.get("predictor.depth", ())))


def test_a_cell_says_how_far_it_is_before_it_has_a_value():
    unfinished = {("none", 2, seed): RUNNING for seed in (0, 1)}
    axes = {"conditioning": ["none", "feature"], "predictor.depth": [2, 4]}
    square = grid(axes, unfinished=unfinished).panels.items[0].squares[0][0]
    assert square
    assert (square.text, square.share, square.progress) == ("", None, pytest.approx(0.3))
    assert square.states == {State.RUNNING: 2}


def test_a_place_that_the_sweep_leaves_out_is_empty():
    whole = tabulate(sweep({"a": ["x", "y"], "b": [1, 2]}, measure=measure))
    shown = heat(whole.where(lambda cell: cell.levels != {"a": "y", "b": 2}))
    assert [[bool(square) for square in line] for line in shown.panels.items[0].squares] == [
        [True, True],
        [True, False],
    ]
