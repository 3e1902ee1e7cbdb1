"""What is asked of SLURM is what SLURM has, and what it does not take is refused before anything is claimed."""

import os
import re
import stat
from collections.abc import Callable, Iterator

import pytest

from orchestrator import service
from orchestrator.errors import RefusedError
from orchestrator.host import provenance
from tests.slurm.lab import SWEEP, Lab

SITE = {
    "nodes": 2,
    "settings": ("MaxArraySize=5", "EnforcePartLimits=ALL", "AccountingStorageEnforce=associations,qos"),
}
HELD = "resources.sbatch_args='--hold'"
"""Jobs that only have to be looked at."""
DEEPER = f"""{SWEEP}
zipped:
  - predictor.depth: [1, 2, 3, 4]
    resources.mem_gb: [0.25, 0.5, 0.5, 0.5]
    resources.time_limit_min: [5, 5, 7, 7]
    resources.gpus_per_node: [1, 1, 1, 2]
"""


@pytest.fixture
def lab(new_lab: Callable[..., Lab]) -> Lab:
    """A site that allows small arrays only and refuses jobs at submission, with its user."""
    lab = new_lab(**SITE)
    lab.cluster.run("sacctmgr", "--immediate", "add", "account", "lab", check=False)
    lab.cluster.run("sacctmgr", "--immediate", "add", "user", f"name={provenance.user()}", "account=lab", check=False)
    return lab


def jobs(lab: Lab) -> list[dict[str, str]]:
    """Every job that the controller knows, as it describes it."""
    described = lab.cluster.run("scontrol", "show", "job", "--oneliner", "--all")
    return [dict(re.findall(r"(\S+?)=(\S*)", line)) for line in described.splitlines() if "JobId=" in line]


def test_cells_that_ask_for_different_things_are_arrays_of_their_own(lab: Lab) -> None:
    trials = lab.submit(HELD, "seed=0,1", text=DEEPER)
    arrays = {lab.status(trial).job_id.partition("_")[0] for trial in trials}
    asked = [
        (job["MinMemoryNode"], job["TimeLimit"], job["TresPerNode"].replace("gres/", "gres:"))
        for job in jobs(lab)
        if job["JobState"] == "PENDING"
    ]
    assert len(arrays) == 4
    assert sorted(asked) == [
        ("256M", "00:05:00", "gres:gpu:1"),
        ("512M", "00:05:00", "gres:gpu:1"),
        ("512M", "00:07:00", "gres:gpu:1"),
        ("512M", "00:07:00", "gres:gpu:2"),
    ]


def test_an_array_is_cut_to_the_site_s_size(lab: Lab) -> None:
    trials = lab.submit(HELD, "seed=range(12)")
    numbers = [tuple(map(int, lab.status(trial).job_id.split("_"))) for trial in trials]
    assert [index for _, index in numbers] == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1]
    assert [number for number, _ in numbers] == sorted(number for number, _ in numbers)
    assert {lab.slurm_state(trial) for trial in trials} == {"PENDING"}


def test_no_more_run_at_once_than_asked_for(lab: Lab) -> None:
    """Python is replaced by a sleep, so that nothing but SLURM is at work."""
    trials = lab.submit("seed=range(4)", "resources.max_parallel=2", "resources.python='sleep 60 #'")
    lab.until(lambda: [lab.slurm_state(trial) for trial in trials].count("RUNNING") == 2)
    waiting = [job for trial in trials if (job := lab.job(trial)) and job.state == "PENDING"]
    assert [job.reason for job in waiting] == ["JobArrayTaskLimit"] * 2


@pytest.fixture
def private_umask() -> Iterator[None]:
    """A person's umask; submitting for the group changes it."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_setup_lines_run_and_the_group_may_write_where_that_is_asked_for(lab: Lab, private_umask: None) -> None:
    words = ("train.steps=20", "resources.group_writable=true", "resources.setup='echo ready > said'")
    (trial,) = lab.submit(*words)
    lab.until_finished(trial)
    assert (lab.layout.root / "said").read_text() == "ready\n"
    token = lab.status(trial).token
    mine = [lab.folder(trial).path, *lab.folder(trial).path.rglob("*"), lab.layout.batch(token)]
    closed = [path for path in mine if not path.stat().st_mode & stat.S_IWGRP]
    assert not closed


def test_a_trial_is_its_owner_s_where_nothing_is_asked_for(lab: Lab, private_umask: None) -> None:
    (trial,) = lab.submit(HELD)
    assert not lab.folder(trial).path.stat().st_mode & stat.S_IWGRP


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["resources.gpus_per_node=4"], "Requested node configuration is not available"),
        (["resources.sbatch_args='--gres=nosuch:1'"], r"Invalid generic resource \(gres\) specification"),
        (["resources.qos=nosuch"], "Invalid qos specification"),
        (["resources.account=nosuch"], "Invalid account or account/partition combination specified"),
        (["resources.partition=nosuch"], "invalid partition specified: nosuch"),
        (["resources.partition=short", "resources.time_limit_min=2"], "Requested time limit is invalid"),
        (["resources.constraint=nosuch"], "Invalid feature specification"),
        (["resources.exclude=nosuch"], "Invalid node name specified"),
        (["resources.sbatch_args='--nosuch=1'"], "unrecognized option '--nosuch=1'"),
        (["resources.mem_gb=999"], "Requested node configuration is not available"),
    ],
)
def test_what_slurm_does_not_take_is_refused_in_its_own_words(lab: Lab, words: list[str], said: str) -> None:
    before = jobs(lab)
    sweep = lab.sweep("seed=0,1", *words)
    with pytest.raises(RefusedError, match=said) as refused:
        service.submit(lab.layout, sweep, launcher="slurm")
    assert "\n" not in str(refused.value)
    assert not lab.layout.trials.exists()
    assert not lab.layout.sweeps.exists()
    assert jobs(lab) == before


def test_one_bad_cell_keeps_all_from_being_submitted(lab: Lab) -> None:
    before = jobs(lab)
    sweep = lab.sweep(text=DEEPER.replace("[1, 1, 1, 2]", "[1, 1, 1, 4]"))
    with pytest.raises(RefusedError, match="node configuration"):
        service.submit(lab.layout, sweep, launcher="slurm")
    assert not lab.layout.trials.exists()
    assert jobs(lab) == before


def test_the_verb_says_it_in_one_line(lab: Lab) -> None:
    lab.sweep()
    said = lab.iwm_refuses(
        "submit", "faults", "resources.partition=nosuch", "--launcher=slurm", f"--sweeps={lab.sweeps_dir}"
    )
    assert len(said.strip().splitlines()) == 1
    assert "invalid partition specified: nosuch" in said
