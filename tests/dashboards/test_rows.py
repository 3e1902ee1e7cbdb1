import csv
import io

from dashboards.rows import to_csv
from orchestrator.trial.lifecycle import State, TrialStatus
from tests.fakes.paper_sweep import paper_sweep
from tests.fakes.results import attempt, finished, results, sweep, trial


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
