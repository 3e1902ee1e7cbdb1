import pytest

from dashboards.cells import is_numeric, score, score_of, tabulate
from orchestrator.trial.lifecycle import State, TrialStatus
from tests.fakes.paper_sweep import paper_sweep
from tests.fakes.results import finished, results, sweep, trial

AXES = {"conditioning": ["none", "feature"], "predictor.depth": [2, 4]}


def by_seed(levels, seed):
    return {"mrr": levels["predictor.depth"] + 0.1 * seed}


def test_cells_are_trials_that_differ_in_their_seed_alone():
    table = tabulate(sweep(AXES, measure=by_seed, seeds=range(3)))
    assert table.axes == ("conditioning", "predictor.depth")
    assert [dict(cell.levels) for cell in table.cells] == [
        {"conditioning": "none", "predictor.depth": 2},
        {"conditioning": "none", "predictor.depth": 4},
        {"conditioning": "feature", "predictor.depth": 2},
        {"conditioning": "feature", "predictor.depth": 4},
    ]
    assert all(len(cell.trials) == 3 for cell in table.cells)
    assert table.seeds == (0, 1, 2)
    assert table.finished_seeds == 3


def test_an_unfinished_trial_enters_no_mean():
    running = TrialStatus(state=State.RUNNING, metrics={"mrr": 99.0, "only_here": 1.0})
    table = tabulate(sweep(AXES, measure=by_seed, seeds=[0, 1], unfinished={("none", 2, 1): running}))
    known = table.cells[0].estimate("mrr")
    assert known
    assert known.mean == 2.0
    assert known.n == 1
    assert "only_here" not in table.metrics


def test_a_cell_without_a_finished_trial_is_missing_not_zero():
    failed = TrialStatus(state=State.FAILED, metrics={"mrr": 0.3})
    cell = tabulate(sweep(AXES, measure=by_seed, unfinished={("none", 2, 0): failed})).cells[0]
    assert cell.estimate("mrr") is None
    assert cell.mean("mrr") is None


def test_an_axis_that_only_some_trials_have():
    trials = [
        trial({"conditioning": "none"}, status=finished({"mrr": 0.02})),
        trial({"conditioning": "feature", "conditioning.layers": 3}, status=finished({"mrr": 0.4})),
    ]
    table = tabulate(results(trials, axes=["conditioning", "conditioning.layers"]))
    assert table.levels("conditioning.layers") == (3,)
    assert table.varying == ("conditioning",)


def test_a_sweep_without_axes_is_one_cell():
    table = tabulate(sweep({}, measure=lambda levels, seed: {"mrr": 0.1}, seeds=[0, 1]))
    assert len(table.cells) == 1
    assert table.cells[0].levels == {}


@pytest.mark.parametrize(("levels", "expected"), [((1, 2.5), True), ((1, "2"), False), ((True, False), False)])
def test_numbers_have_an_order(levels, expected):
    assert is_numeric(levels) is expected


def test_evaluations_join_the_cell_of_their_trial():
    table = tabulate(paper_sweep(seeds=2))
    assert table.axes == ("predictor", "conditioning", "photometric")
    assert table.labels == ("predictor_finetune", "random_predictor")
    (cell, *_) = table.cells
    assert cell.scores("random_predictor") == {0: 0.51, 1: 0.49}
    assert cell.scores("unknown") == {}
    assert (len(cell.trials), cell.cost.trials) == (2, 6)
    assert "predictor_finetune_top1" not in table.metrics


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


@pytest.mark.parametrize(
    ("measured", "metric"),
    [
        ({"mrr": 0.3, "linear_probe_top1": 0.2}, "mrr"),
        ({"linear_probe_top1": 0.2, "loss": 1.0}, "linear_probe_top1"),
        ({"loss": 1.0}, None),
    ],
)
def test_mrr_is_the_headline_where_it_was_measured(measured, metric):
    assert tabulate(sweep(AXES, measure=lambda levels, seed: measured)).headline == metric
