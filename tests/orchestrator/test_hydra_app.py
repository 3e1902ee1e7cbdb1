"""Hydra's own entrance makes the same trials as `expand`, and knows the same folders."""

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose

from iwm_core.errors import ConfigError
from orchestrator import hydra_app
from orchestrator.errors import RequestError
from orchestrator.host.slurm import Job
from orchestrator.launching.batch import GUARD
from orchestrator.planning.catalogue import PACKAGED, Catalogue
from orchestrator.planning.composer import searching
from orchestrator.planning.expand import expand, single
from orchestrator.planning.plan import plan_sweep
from orchestrator.records.layout import Layout
from orchestrator.records.scan import read_status, trial_ids
from orchestrator.trial.lifecycle import State
from orchestrator.trial.sweep import Resources
from tests.fakes.tiny import SWEEP, TINY


def call(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """The entrance in a process of its own; its root is `runs` in this folder."""
    command = [sys.executable, "-W", "error", "-m", "orchestrator.hydra_app", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


def launcher(folder: Path, *words: str) -> dict[str, Any]:
    """What Hydra's launcher would be told."""
    done = call(folder, "--cfg", "all", "--resolve", "-p", "hydra.launcher", *words)
    assert done.returncode == 0, done.stderr
    return yaml.safe_load(done.stdout)


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["conditioning=none", "predictor.depth=3", "seed=7"],
        ["optim.lr=3e-3", "optim.weight_decay=0", "train.steps=20", "train.deterministic=true"],
        ["encoder=small", "predictor=d12w384", "masks=lean", "data.image_size=224", "resources=slurm"],
        ["photometric=demo", "photometric.strength=1", "data=random", "data.dataset='007'"],
    ],
)
def test_equal_overrides_are_the_same_trial(overrides):
    with searching((PACKAGED,)):
        ours = hydra_app.cell_of(compose("config", overrides))
    theirs = single(overrides)
    assert ours.trial == theirs.trial
    assert ours.resources == theirs.resources


def test_impossible_settings_are_refused():
    with searching((PACKAGED,)), pytest.raises(ConfigError):
        hydra_app.cell_of(compose("config", ["train.steps=0"]))


@pytest.mark.slow
def test_a_multirun_and_a_sweep_are_the_same_trials(tmp_path):
    (tmp_path / "sweeps").mkdir()
    (tmp_path / "sweeps" / "same.yaml").write_text(SWEEP)
    words = ("-m", *TINY, "train.steps=10", "conditioning=none,feature")
    done = call(tmp_path, *words)
    assert done.returncode == 0, done.stderr
    layout = Layout.of(tmp_path / "runs", environ={})
    planned = plan_sweep(layout, expand("same", ["train.steps=10"], sweeps_dir=tmp_path / "sweeps"))
    assert planned.counts == {"submit": 0, "resume": 0, "reuse": 2, "skip": 0}
    assert {path.name for path in layout.root.iterdir()} == {"hydra", "trials"}

    again = call(tmp_path, *words)
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("reusing it") == 2
    assert all(len(read_status(layout.trial(key)).attempts) == 1 for key in trial_ids(layout))


@pytest.mark.slow
def test_a_trial_that_fails_says_so_and_ends_with_an_error(tmp_path):
    done = call(tmp_path, *TINY, "data=imagefolder", "data.dataset=none", "resources.data_root=/nowhere")
    assert done.returncode == 1
    assert "/nowhere" in done.stderr
    assert "Traceback" not in done.stderr
    layout = Layout.of(tmp_path / "runs", environ={})
    assert [read_status(layout.trial(key)).state for key in trial_ids(layout)] == [State.FAILED]


def test_the_launcher_asks_for_what_the_resources_say(tmp_path):
    told = launcher(tmp_path, "hydra/launcher=submitit_slurm", "resources=slurm", "resources.partition=gpu")
    assert told["_target_"] == "hydra_plugins.hydra_submitit_launcher.submitit_launcher.SlurmLauncher"
    asked = hydra_app.launcher_parameters(single(["resources=slurm", "resources.partition=gpu"]).resources)
    token = Job(id="7", state="RUNNING", name=told["name"]).token
    assert f"export IWM_CLAIM={token}" in told["setup"]
    assert told["wckey"] is None
    asked |= {key: told[key] for key in ("name", "setup")}  # another process, another token
    assert asked == {key: told[key] for key in asked}
    assert told["submitit_folder"].startswith(f"{tmp_path}/runs/hydra/")


def test_a_folder_of_one_s_own_comes_first(tmp_path):
    own = tmp_path / "sweeps" / "hydra" / "launcher"
    own.mkdir(parents=True)
    (own / "mine.yaml").write_text("defaults: [local, _self_]\nname: mine")
    (tmp_path / "sweeps" / "config.yaml").write_text("seed: 13")
    told = launcher(tmp_path, "hydra/launcher=mine")
    assert told["name"] == "mine"
    assert told == {**launcher(tmp_path, "hydra/launcher=submitit_local"), "name": "mine", **_folder(told)}
    assert "seed: 0" in call(tmp_path, "--cfg", "job").stdout


def _folder(told: dict[str, Any]) -> dict[str, Any]:
    return {"submitit_folder": told["submitit_folder"]}


def test_what_the_launcher_cannot_do_is_refused(tmp_path):
    with pytest.raises(RequestError) as caught:
        hydra_app.launcher_parameters(Resources(trials_per_gpu=2))
    assert (caught.value.setting, caught.value.value) == ("resources.trials_per_gpu", 2)
    done = call(tmp_path, "-m", "hydra/launcher=slurm", "resources.python=apptainer", "seed=1,2")
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("iwm: ")
    assert "resources.python" in last


def test_python_starts_deaf_to_what_would_end_it():
    words = hydra_app.launcher_parameters(Resources(srun_args="--container-image=a"))["srun_args"]
    assert words[:3] == ["--container-image=a", "bash", "-c"]
    assert words[3] in GUARD


def test_launchers_are_no_axis_and_no_sweep():
    catalogue = Catalogue((PACKAGED,))
    assert not {"hydra", "launcher", "hydra/launcher"} & {*catalogue.groups, *catalogue.sweeps}


def test_jobs_that_hydra_queued_before_an_update_find_what_they_run():
    assert pickle.loads(b"corchestrator.hydra_app\ntask\n.") is hydra_app.task
