import csv
import io

from dashboards.cells import tabulate
from dashboards.report import tables
from dashboards.report.tables import to_csv
from orchestrator.inference.estimate import Estimate
from orchestrator.trial.lifecycle import State, TrialStatus
from tests.fakes.paper_sweep import paper_sweep
from tests.fakes.results import attempt, finished, results, sweep, trial

AXES = {"conditioning": ["none", "feature"], "predictor.depth": [2, 4]}


def measure(levels, seed):
    return {"mrr": 0.1 * levels["predictor.depth"] + 0.01 * seed, "mrr_floor": 0.024, "unknown": 1.0}


def column(grid, name):
    return [row[grid.header.index(name)] for row in grid.rows]


def test_the_main_table_shows_scores_beside_their_floor():
    grid = tables.main(tabulate(sweep(AXES, measure=measure)))
    assert grid.header == ("conditioning", "predictor depth", "state", "seeds", "MRR", "floor", "attempts")
    assert grid.rows[0] == ("none", "2", "finished", "1", "0.200", "0.024", "1")


def test_intervals_are_shown_where_there_are_any():
    grid = tables.main(tabulate(sweep(AXES, measure=measure, seeds=[0, 1])))
    assert column(grid, "MRR")[0] == "0.205 ± 0.064"
    assert column(grid, "floor")[0] == "0.024"


def test_missing_is_a_dash_and_partly_finished_says_so():
    gone = {("none", 2, 0): TrialStatus(state=State.FAILED), ("none", 4, 1): TrialStatus(state=State.RUNNING)}
    gone[("none", 2, 1)] = TrialStatus(state=State.QUEUED)
    grid = tables.main(tabulate(sweep(AXES, measure=measure, seeds=[0, 1], unfinished=gone)))
    assert column(grid, "MRR")[:2] == ["–", "0.400"]
    assert column(grid, "seeds") == ["0/2", "1/2", "2", "2"]
    assert column(grid, "state")[:2] == ["queued, failed", "running, finished"]


def test_effects_and_interactions():
    table = tabulate(sweep(AXES, measure=measure))
    main, both = tables.main_effects(table, metric="mrr"), tables.interactions(table, metric="mrr")
    assert main
    assert both
    assert main.rows[1] == ("predictor depth", "4 vs 2", "+0.200 ± 0.000", "2", "+0.200 to +0.200")
    assert both.rows == (("conditioning feature vs none", "predictor depth 4 vs 2", "+0.000", "1"),)


def test_without_a_varying_axis_there_are_no_effects():
    table = tabulate(sweep({"a": [1]}, measure=lambda levels, seed: {"mrr": 0.1}))
    assert tables.main_effects(table, metric="mrr") is None
    assert tables.interactions(table, metric="mrr") is None


def test_cost_ends_with_the_sum():
    grid = tables.cost(tabulate(sweep(AXES, measure=measure)))
    assert grid.rows[-1] == ("all", "", "4", "4", "0", "0", "0.067", "0")


def test_interrupted_and_failed_trials_are_named():
    special = {
        ("none", 2, 0): finished({}, attempts=[attempt(end="lost", step=60), attempt(1, resumed_from_step=50)]),
        ("none", 4, 0): TrialStatus(state=State.FAILED, error="out of\nmemory", attempts=(attempt(end="failed"),)),
    }
    known = sweep(AXES, measure=measure, unfinished=special)
    interrupted, failed = tables.interrupted(known), tables.failures(known)
    assert interrupted
    assert interrupted.rows[0][1:] == (
        "conditioning none, predictor depth 2",
        "exact",
        "–",
        "2",
        "1",
        "10",
    )
    assert failed
    assert failed.rows[0][1:] == ("conditioning none, predictor depth 4", "out of memory", "1")
    assert tables.interrupted(sweep(AXES, measure=measure)) is None
    assert tables.failures(sweep(AXES, measure=measure)) is None


def test_spread():
    assert tables.spread(None) == "–"
    assert tables.spread(Estimate(0.5, 1, None)) == "0.500"
    assert tables.spread(Estimate(0.5, 2, 0.1)) == "0.500 ± 0.100"
    assert tables.spread(Estimate(0.5, 2, 0.1), bare=True) == "0.500"


def test_evaluations_have_a_column_per_label():
    grid = tables.evaluations(tabulate(paper_sweep()))
    assert grid
    assert grid.header == ("predictor", "conditioning", "photometric", "predictor finetune", "random predictor")
    assert grid.rows[0] == ("d12w384", "feature", "destructive", "0.522 ± 0.000", "0.503 ± 0.029")
    assert tables.evaluations(tabulate(sweep(AXES, measure=measure))) is None


def read(known):
    return list(csv.DictReader(io.StringIO(to_csv(known))))


def test_columns_stand_in_a_stable_order():
    known = sweep({"b": [1], "a": ["x"]}, measure=lambda levels, seed: {"mrr": 0.5, "h@1": 0.25}, seeds=[3, 4])
    assert to_csv(known).splitlines()[0] == (
        "b,a,seed,state,h@1,mrr,attempts,preemptions,repeated_steps,wall_hours,gpu_hours,trial_id"
    )


def test_floats_keep_every_digit():
    (row,) = read(
        sweep({"a": [0.1 + 0.2]}, measure=lambda levels, seed: {"mrr": 1 / 3, "whole": 2, "bad": float("nan")})
    )
    assert float(row["a"]) == 0.1 + 0.2
    assert float(row["mrr"]) == 1 / 3
    assert row["whole"] == "2.0"
    assert row["bad"] == "nan"


def test_what_has_not_finished_has_no_metrics():
    running = TrialStatus(state=State.RUNNING, metrics={"mrr": 0.1}, attempts=(attempt(end=None, seconds=36.0),))
    done, rest = read(sweep({"a": [1, 2]}, measure=lambda levels, seed: {"mrr": 0.5}, unfinished={(2, 0): running}))
    assert done["mrr"] == "0.5"
    assert rest["mrr"] == ""
    assert rest["state"] == "running"
    assert rest["wall_hours"] == "0.01"


def test_an_axis_that_a_trial_lacks_is_empty_and_null_is_null():
    trials = [trial({"a": None}, status=finished({})), trial({"a": True, "b": 'x,"y"'}, status=finished({}))]
    first, second = read(results(trials, axes=["a", "b"]))
    assert (first["a"], first["b"]) == ("null", "")
    assert (second["a"], second["b"]) == ("true", 'x,"y"')


def test_attempts_are_counted():
    resumed = finished({}, attempts=[attempt(end="lost", step=60), attempt(1, resumed_from_step=50)])
    (row,) = read(sweep({"a": [1]}, measure=lambda levels, seed: {}, unfinished={(1, 0): resumed}))
    assert (row["attempts"], row["preemptions"], row["repeated_steps"]) == ("2", "1", "10")


def test_an_evaluation_is_a_row_of_its_own():
    header, trained, evaluation, *_ = to_csv(paper_sweep(seeds=1)).splitlines()
    assert header.startswith("predictor,conditioning,photometric,protocol,seed,state,linear_probe_top1,mrr,")
    assert trained.startswith("d12w384,feature,destructive,,0,finished,0.755,0.09,0.024,,")
    assert evaluation.startswith("d12w384,feature,destructive,predictor_finetune,0,finished,,,,0.5225,")
