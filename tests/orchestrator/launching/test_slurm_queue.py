"""Jobs under a token that is no trial's newest."""

import pytest

from orchestrator.host.slurm import Job
from orchestrator.launching.batch import ArraySubmission
from orchestrator.launching.slurm_queue import orphans
from orchestrator.records import journal
from orchestrator.records.scan import read_status
from orchestrator.trial.events import Claimed, Submitted
from orchestrator.trial.sweep import Resources

OLD, NEW = "00000000000000aa", "00000000000000bb"


@pytest.fixture
def trials(on_disk):
    """Two trials of one batch, the second of which was claimed again."""
    folders = [on_disk.trial(seed) for seed in (0, 1)]
    for folder in folders:
        journal.claim(folder, Claimed(claim=1, token=OLD, launcher="slurm"))
    journal.claim(folders[1], Claimed(claim=2, token=NEW, launcher="slurm"))
    tasks = tuple((folder.id,) for folder in folders)
    batch = ArraySubmission(token=OLD, name="pair", resources=Resources(), tasks=tasks)
    journal.replace_file(on_disk.layout.batch(OLD) / "batch.json", batch.to_json())
    return folders


def found(on_disk, trials, *jobs):
    statuses = [read_status(folder) for folder in trials]
    return [job.id for job in orphans(on_disk.layout, statuses, live=jobs)]


def waiting(job_id, *, token=OLD, state="PENDING"):
    return Job(id=job_id, state=state, name=f"pair-{token}")


def test_a_job_under_an_older_claim_is_a_stray(on_disk, trials):
    assert found(on_disk, trials, waiting("7_0"), waiting("7_1")) == ["7_1"]


def test_what_runs_is_left_to_end_by_itself(on_disk, trials):
    assert found(on_disk, trials, waiting("7_1", state="RUNNING")) == []


def test_jobs_of_other_roots_and_other_people_are_left_alone(on_disk, trials):
    strange = Job(id="8", state="PENDING", name="theirs")
    assert found(on_disk, trials, waiting("7_1", token=NEW), strange) == []


def test_a_job_that_is_waited_for_is_not_looked_up(on_disk, trials):
    journal.record(trials[1], Submitted(claim=2, job_id="9_1"))
    (on_disk.layout.batch(OLD) / "batch.json").unlink()
    assert found(on_disk, trials, waiting("9_1", token=NEW)) == []
