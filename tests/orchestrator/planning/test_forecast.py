"""A forecast is the median of comparable trials; without one the ETA is unknown."""

import os
from dataclasses import replace

import pytest

from iwm_core.config import TrainConfig, TrialConfig
from iwm_core.events import Checkpoint
from orchestrator.errors import RequestError
from orchestrator.planning import forecast as module
from orchestrator.planning.forecast import Timing, cost_of, duration, forecast, forecast_plan, outlook, timing
from orchestrator.planning.plan import outlines, plan
from orchestrator.trial.lifecycle import State, TrialStatus
from orchestrator.trial.sweep import Cell, Resources, Sweep
from orchestrator.trial.value import Trial
from tests.fakes.results import GPU, attempt, finished, results, trial
from tests.orchestrator.conftest import T0, ended, started, trained

SHALLOW = {"predictor.depth": 2, "seed": 0}


def earlier(settings=SHALLOW, *, s_per_step=1.0, rest_s=10.0, **fields):
    return Timing(cost=cost_of(settings), s_per_step=s_per_step, rest_s=rest_s, **fields)


def left(settings=SHALLOW, *, steps=100, **fields):
    return Timing(cost=cost_of(settings), steps=steps, **fields)


def test_comparable_trials_count_by_their_median():
    told = forecast([left()], [earlier(s_per_step=0.9), earlier(), earlier(s_per_step=1.3)], places=1)
    assert (told.unknown, told.comparable_trials, told.work_s, told.eta_s) == (0, 3, 110.0, 110.0)


def test_without_a_comparable_trial_the_eta_is_unknown():
    told = forecast([left(), left({"predictor.depth": 4})], [earlier()], places=2)
    assert (told.unknown, told.work_s, told.eta_s) == (1, 110.0, None)
    nothing = forecast([left()], [], places=2)
    assert nothing.lines(now=0.0) == ["ETA unknown: no comparable trial"]
    assert nothing.to_dict()["eta_hours"] is None


@pytest.mark.parametrize(
    ("one", "other", "comparable"),
    [
        ({"seed": 1, "train.steps": 9, "optim.lr": 1e-3}, {"seed": 2, "train.steps": 8, "optim.lr": 1e-2}, True),
        ({"predictor.depth": 2}, {"predictor.depth": 8}, False),
        ({"pretrain": "b99d6e1b"}, {"pretrain": "ea3eaedc"}, True),
        ({"pretrain": "b99d6e1b"}, {"pretrain": ""}, False),
        ({"pretrain": "timm:vit_tiny"}, {"pretrain": "timm:vit_huge"}, False),
        ({"evaluate.protocol": "mrr"}, {"evaluate.protocol": "linear"}, False),
    ],
)
def test_comparable_is_what_differs_only_in_what_costs_no_time(one, other, comparable):
    assert (cost_of(one) == cost_of(other)) is comparable


def test_so_many_run_at_once_and_what_runs_goes_first():
    running = left(steps=40, s_per_step=0.5, is_running=True)
    told = forecast([left(), left(), running], [earlier()], places=2)
    assert (told.work_s, told.eta_s) == (110 + 110 + 30, 30 + 110)
    assert forecast([left()], [earlier()], places=None).eta_s is None


def test_gpu_hours_are_those_of_as_many_gpus_as_before():
    told = forecast([left()], [earlier(gpus=4, device="NVIDIA H200")], places=None)
    assert (told.gpu_s, told.devices) == (4 * 110, ("NVIDIA H200",))
    assert told.to_dict()["gpu_hours"] == pytest.approx(4 * 110 / 3600, abs=1e-4)


def test_a_finished_trial_tells_steps_from_what_came_after_them():
    run = attempt(seconds=80.0, stepped_t=1_050.0, fingerprint=GPU)
    told = timing(cost_of({}), finished({}, attempts=[run]))
    assert (told.s_per_step, told.rest_s, told.gpus) == (0.5, 30.0, 1)


def test_repeated_steps_are_not_cheaper_and_an_evaluation_without_steps_is_all_rest():
    first = attempt(0, end="preempted", seconds=30.0, step=60, stepped_t=1_030.0)
    second = attempt(1, seconds=60.0, resumed_from_step=50, stepped_t=2_025.0)
    told, measured = (timing(cost_of({}), status) for status in (finished({}, attempts=[first, second]), finished({})))
    assert [(one.s_per_step, one.rest_s) for one in (told, measured)] == [(0.5, 35.0), (0.0, 60.0)]


def test_one_that_runs_tells_its_speed_and_not_its_end():
    status = TrialStatus(state=State.RUNNING, step=50, attempts=(attempt(end=None, step=50, stepped_t=1_025.0),))
    own = timing(cost_of(SHALLOW), status)
    told = forecast([timing(cost_of(SHALLOW), status, steps=100), left()], [own], places=1)
    assert (told.unknown, told.restless, told.work_s) == (0, 2, 25 + 50)
    assert timing(cost_of({}), TrialStatus(state=State.QUEUED)).s_per_step is None


DONE = finished({}, attempts=[attempt(stepped_t=1_050.0)])  # 100 steps in 50 seconds, and 10 more


def unfinished(state, *attempts, step=0):
    return TrialStatus(state=state, attempts=attempts, step=step, total_steps=100 if attempts else 0)


def of_sweep(*statuses):
    return outlook(results([trial({"seed": at}, status=one) for at, one in enumerate(statuses)], axes=["seed"]))


def test_what_is_left_goes_by_the_trials_own_speed_or_that_of_the_others():
    ran = attempt(end=None, step=50, seconds=100, stepped_t=1_100.0)  # half as fast
    left = of_sweep(DONE, DONE, unfinished(State.RUNNING, ran, step=50), unfinished(State.QUEUED))
    assert (left.trials, left.places) == (2, 1)
    assert left.work_s == left.eta_s == (50 * 2 + 10) + (100 * 0.5 + 10)


def test_without_a_speed_or_a_running_trial_nothing_is_promised():
    queued, held = of_sweep(unfinished(State.QUEUED)), of_sweep(DONE, unfinished(State.HELD))
    assert (queued.unknown, queued.work_s) == (1, 0.0)
    assert (held.trials, held.eta_s) == (1, None)
    assert of_sweep(DONE).trials == 0


def sweep(*, seeds, steps=200, **resources):
    config = TrialConfig(train=TrainConfig(steps=steps))
    cells = [Cell(Trial(replace(config, seed=seed)), {"seed": seed}, Resources(**resources)) for seed in range(seeds)]
    return Sweep("seeds", ("seed",), tuple(cells))


def foresee(on_disk, sweep, *, launcher="local"):
    known = outlines(on_disk.layout, [cell.trial.id for cell in sweep.cells])
    planned = plan(sweep, {key: status.state for key, status in known.items()})
    return forecast_plan(on_disk.layout, planned, known=known, launcher=launcher)


def timed(on_disk, seed):
    """100 steps in 100 s, then 2 s for the rest."""
    folder = on_disk.trial(seed)
    events = [started(0, folder), *trained(0, 100), Checkpoint(step=100, t=T0 + 100), *ended(100)]
    on_disk.attempt(folder, events).close()


def test_a_forecast_of_a_new_root_makes_nothing_there(on_disk):
    assert foresee(on_disk, sweep(seeds=3)).unknown == 3
    assert not on_disk.layout.root.exists()


def test_seeds_of_what_was_run_before_take_as_long_per_step(on_disk):
    timed(on_disk, 7)
    told = foresee(on_disk, sweep(seeds=3, slots=2))
    assert (told.unknown, told.comparable_trials, told.work_s, told.eta_s) == (0, 1, 3 * 202, 2 * 202)
    assert len(told.lines(now=0.0)) == 2


def test_on_slurm_the_queue_decides_unless_the_array_is_limited(on_disk):
    timed(on_disk, 7)
    free, limited = sweep(seeds=4), sweep(seeds=4, max_parallel=4)
    assert foresee(on_disk, free, launcher="slurm").eta_s is None
    assert foresee(on_disk, limited, launcher="slurm").eta_s == 202
    with pytest.raises(RequestError) as caught:
        foresee(on_disk, free, launcher="slrum")
    assert (caught.value.setting, caught.value.value) == ("launcher", "slrum")


def test_broken_files_and_what_only_looks_like_a_trial_are_passed_over(on_disk):
    timed(on_disk, 7)
    for name, content in (("0" * 16, "{"), ("1" * 16, "[]"), ("2" * 16, '{"config": 3}')):
        (on_disk.layout.trials / name).mkdir()
        (on_disk.layout.trials / name / "trial.json").write_text(content)
    (on_disk.layout.trials / "note.txt").write_text("")
    assert foresee(on_disk, sweep(seeds=1)).unknown == 0


def test_of_many_trials_the_newest_are_looked_at(on_disk):
    for place in range(2_500):
        folder = on_disk.layout.trials / f"{place:016x}"
        folder.mkdir(parents=True)
        os.utime(folder, (place, place))
    assert [int(name, 16) for name in module._newest(on_disk.layout)] == [*range(2_499, 499, -1)]


def test_what_is_under_way_alone_has_an_eta_too(on_disk):
    timed(on_disk, 7)
    waiting = sweep(seeds=3, steps=TrialConfig().train.steps)
    for seed in range(3):
        on_disk.trial(seed)
    told = foresee(on_disk, waiting)
    assert (told.trials, told.places) == (3, 2)
    assert told.eta_s


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.2, "0 s"), (59, "59 s"), (65, "1 min 05 s"), (3000, "50 min"), (7500, "2 h 05"), (273_600, "3 d 4 h")],
)
def test_a_duration_is_short(seconds, shown):
    assert duration(seconds) == shown
