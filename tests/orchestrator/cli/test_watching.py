"""Statuses."""

import pytest

from orchestrator.cli import render, watching
from orchestrator.errors import UnknownSweepError


def test_sweeps_and_single_trials(on_disk):
    for seed in (0, 1):
        on_disk.trial(seed)
    on_disk.sweep("demo", [0])
    names = [results.record.name for results in watching.statuses(on_disk.layout, None)]
    assert names == ["demo", "(no sweep)"]
    assert [results.record.name for results in watching.statuses(on_disk.layout, "demo")] == ["demo"]
    with pytest.raises(UnknownSweepError):
        watching.statuses(on_disk.layout, "nothing")


def test_json_has_the_promised_keys(on_disk):
    folder = on_disk.trial()
    on_disk.undisturbed(folder)
    on_disk.sweep("demo", [0])
    told = render.status_json(watching.statuses(on_disk.layout, "demo"))
    (sweep,) = told["sweeps"]
    assert {"id", "name", "counts", "trials"} <= set(sweep)
    promised = "id overrides state step total_steps attempts job_id slurm_state metrics weights_sha256"
    assert set(promised.split()) <= set(sweep["trials"][0])
    assert sweep["counts"] == {"finished": 1}
