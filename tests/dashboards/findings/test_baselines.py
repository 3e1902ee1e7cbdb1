from dataclasses import replace

import pytest

from dashboards.cells import tabulate
from dashboards.findings.baselines import ENCODER, FLOOR, MAJORITY, PREDICTOR, contests, probe_findings
from dashboards.findings.checks import Kind
from dashboards.report import tables
from orchestrator.trial.lifecycle import State, TrialStatus
from tests.fakes.results import finished, results, trial
from tests.fakes.results import sweep as factorial

TUNED = "predictor_finetune"


def sweep(evaluations):
    """One pretrained trial for each seed, with these evaluations: (label, protocol, start, metrics by seed)."""
    trials = [trial({"seed": seed}, status=finished({"mrr": 0.4}), seed=seed) for seed in range(2)]
    for label, protocol, start, by_seed in evaluations:
        config = {"evaluate.protocol": protocol, **start}
        for seed, metrics in enumerate(by_seed):
            status = finished(metrics) if metrics else TrialStatus(state=State.QUEUED)
            trials.append(trial({"seed": seed, "protocol": label}, status=status, seed=seed, config=config))
    return tabulate(results(trials, axes=["seed", "protocol"]))


def only(evaluations):
    (contest,) = contests(sweep([evaluations]).cells[0])
    return contest


def test_a_random_encoder_and_the_majority_are_measured_along():
    metrics = [
        {"knn_top1": 0.4, "knn_random_top1": 0.2, "knn_majority_top1": 0.1},
        {"knn_top1": 0.1, "knn_random_top1": 0.2, "knn_majority_top1": 0.1},
    ]
    contest = only(("knn", "knn", {}, metrics))
    assert contest.baselines == {MAJORITY: {0: 0.1, 1: 0.1}, ENCODER: {0: 0.2, 1: 0.2}}
    assert (contest.scores, contest.won) == ({0: 0.4, 1: 0.1}, 1)


def test_a_random_predictor_is_a_label_of_its_own():
    tuned = [{"predictor_finetune_top1": 0.6, "predictor_finetune_majority_top1": 0.1}] * 2
    random = [{"predictor_finetune_top1": 0.7, "predictor_finetune_majority_top1": 0.1}, None]
    cell = sweep([(TUNED, TUNED, {}, tuned), ("fresh", TUNED, {"tune.predictor": "random"}, random)]).cells[0]
    (first,) = contests(cell)  # a baseline has no contest of its own
    assert (first.baselines[PREDICTOR], first.won) == ({0: 0.7}, 1)  # the second seed has nobody to lose against


def test_where_the_encoder_is_tuned_the_random_one_is_a_label_of_its_own():
    tuned, scratch = [[{"end_to_end_top1": value}] * 2 for value in (0.9, 0.8)]
    start = {"tune.encoder": "random", "tune.predictor": "random"}
    (first,) = contests(sweep([("both", "end_to_end", {}, tuned), ("fresh", "end_to_end", start, scratch)]).cells[0])
    assert (first.baselines, first.won) == ({ENCODER: {0: 0.8, 1: 0.8}}, 2)


def test_of_a_curve_over_layers_the_best_one_counts():
    metrics = {
        "probe_layers_top1": 0.5,
        "probe_layers_encoder_01_top1": 0.5,
        "probe_layers_random_encoder_01_top1": 0.3,
        "probe_layers_random_predictor_01_top1": 0.4,
        "probe_layers_majority_top1": 0.1,
    }
    assert only(("probe_layers", "probe_layers", {}, [metrics])).baselines[ENCODER] == {0: 0.4}


def test_strengths_are_compared_with_their_own_and_pixels_with_theirs():
    metrics = {"per_class_s100_top1": 0.5, "per_class_random_s100_top1": 0.3, "per_class_random_s000_top1": 0.9}
    assert only(("per_class", "per_class", {}, [metrics])).baselines == {ENCODER: {0: 0.3}}
    metrics = {"segmentation_encoder_miou": 0.2, "segmentation_encoder_majority_miou": 0.1}
    assert only(("seg", "segmentation_encoder", {}, [metrics])).baselines == {MAJORITY: {0: 0.1}}


def test_mrr_stands_beside_its_floor_and_the_linear_probe_beside_its_own_names():
    assert only(("mrr", "mrr", {}, [{"mrr": 0.5, "mrr_floor": 0.02}])).baselines == {FLOOR: {0: 0.02}}
    probe = {"linear_probe_top1": 0.5, "random_probe_top1": 0.4, "majority_top1": 0.1}
    assert only(("linear", "linear", {}, [probe])).baselines == {MAJORITY: {0: 0.1}, ENCODER: {0: 0.4}}


def test_the_table_has_a_column_for_each_baseline_that_there_is():
    metrics = [{"knn_top1": 0.4, "knn_random_top1": 0.2, "knn_majority_top1": 0.1}]
    grid = tables.baselines(contests(sweep([("knn", "knn", {}, metrics)]).cells[0]), axes=())
    assert grid
    assert grid.header == ("protocol", "score", "majority class", "random encoder", "seeds above all baselines")
    assert grid.rows == (("knn", "0.400", "0.100", "0.200", "1 of 1"),)
    assert tables.baselines([], axes=()) is None


def probed(values, config=None, **more):
    measure = lambda levels, seed: {"linear_probe_top1": levels["a"], "random_probe_top1": 0.22, **more}  # noqa: E731
    results = factorial({"a": values}, measure=measure)
    trials = tuple(replace(trial, config={**trial.config, **(config or {})}) for trial in results.trials)
    return list(probe_findings(tabulate(replace(results, trials=trials))))


def test_not_above_the_random_encoder():
    (found,) = probed([0.18, 0.2], pixel_probe_top1=0.85)
    assert found.kind is Kind.UNSUPPORTED
    for figures in ("0.19 vs 0.22 on average over 2 cells", "-0.08 to +0.02", "0.85"):
        assert figures in found.text


def test_clearly_below_the_random_encoder():
    (found,) = probed([0.1])
    assert found.kind is Kind.UNSUPPORTED
    assert "is below the random encoder (0.10 vs 0.22, 95 % CI of the difference -0.17 to -0.07)" in found.text


def test_fewer_images_are_less_certain():
    (wide,), (narrow,) = probed([0.3], {"evaluate.probe_test_images": 50}), probed([0.3])
    assert (wide.kind, narrow.kind) == (Kind.UNSUPPORTED, Kind.SUPPORTED)
    assert "-0.09 to +0.25" in wide.text


def test_a_hair_above_is_not_above():
    assert probed([0.24])[0].kind is Kind.UNSUPPORTED


def test_above_in_every_cell():
    (found,) = probed([0.5, 0.7])
    assert found.kind is Kind.SUPPORTED
    assert "in every cell (0.60 vs 0.22" in found.text


def test_above_in_some_cells_only():
    (found,) = probed([0.2, 0.7])
    assert found.kind is Kind.UNSUPPORTED
    assert "in only 1 of 2 cells" in found.text


@pytest.mark.parametrize("metrics", [{"loss": 1.0}, {"linear_probe_top1": 0.9}])
def test_a_probe_without_its_reference_says_nothing(metrics):
    assert list(probe_findings(tabulate(factorial({"a": [1]}, measure=lambda levels, seed: metrics)))) == []
