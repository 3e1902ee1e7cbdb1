"""A plan's forecast, from the files of earlier trials."""

import os
from dataclasses import replace

import pytest

from iwm_core.config import TrainConfig, TrialConfig
from iwm_core.events import Checkpoint
from orchestrator.errors import RequestError
from orchestrator.planning import comparable, forecast_text
from orchestrator.planning.comparable import forecast_plan
from orchestrator.planning.plan import outlines, plan
from orchestrator.trial.sweep import Cell, Resources, Sweep
from orchestrator.trial.value import Trial
from tests.orchestrator.conftest import T0, ended, started, trained


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


def test_nothing_is_known_under_a_new_root_and_nothing_is_made(on_disk):
    told = foresee(on_disk, sweep(seeds=3))
    assert (told.trials, told.unknown) == (3, 3)
    assert forecast_text.lines(told, now=0.0) == [
        "forecast: not known; no earlier trial of this root is near enough to these"
    ]
    assert not on_disk.layout.root.exists()


def test_seeds_of_what_was_run_before_take_as_long_per_step(on_disk):
    timed(on_disk, 7)
    told = foresee(on_disk, sweep(seeds=3, slots=2))
    assert (told.known, told.comparable_trials, told.work.likely) == (3, 1, 3 * 202)
    assert told.end
    assert told.end.likely == 2 * 202
    first, second, third = forecast_text.lines(told, now=0.0)
    assert first.startswith("forecast: 0.17 slot-hours; 2 at a time: done in 6 min 44 s, about ")
    assert second == "  from 1 earlier trial of this root on cpu; no two of a kind differ, so there is no range"
    assert "come on top" in third


def test_on_slurm_the_queue_decides_unless_the_array_is_limited(on_disk):
    timed(on_disk, 7)
    free, limited = sweep(seeds=4), sweep(seeds=4, max_parallel=4)
    assert foresee(on_disk, free, launcher="slurm").end is None
    end = foresee(on_disk, limited, launcher="slurm").end
    assert end
    assert end.likely == 202
    with pytest.raises(RequestError, match="slrum"):
        foresee(on_disk, free, launcher="slrum")


def test_broken_files_and_what_only_looks_like_a_trial_are_passed_over(on_disk):
    timed(on_disk, 7)
    for name, text in (("0" * 16, "{"), ("1" * 16, "[]"), ("2" * 16, '{"config": 3}')):
        (on_disk.layout.trials / name).mkdir()
        (on_disk.layout.trials / name / "trial.json").write_text(text)
    (on_disk.layout.trials / "note.txt").write_text("")
    assert foresee(on_disk, sweep(seeds=1)).known == 1


def test_of_many_trials_the_newest_are_looked_at_and_some_of_all_ages(on_disk):
    for place in range(2_500):
        folder = on_disk.layout.trials / f"{place:016x}"
        folder.mkdir(parents=True)
        os.utime(folder, (place, place))
    seen = [int(name, 16) for name in comparable.looked_at(on_disk.layout)]
    assert seen[:1_000] == [*range(2_499, 1_499, -1)]
    assert len(seen) == comparable.LOOKED_AT - 250
    assert min(seen) < 5


def test_what_is_under_way_alone_has_an_end_too(on_disk):
    timed(on_disk, 7)
    waiting = sweep(seeds=3, steps=TrialConfig().train.steps)
    for seed in range(3):
        on_disk.trial(seed)
    told = foresee(on_disk, waiting)
    assert (told.trials, told.places) == (3, 2)
    assert told.end
