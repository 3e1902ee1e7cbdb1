"""Who waits for whom, from what is written."""

from iwm_core.config import TrialConfig
from iwm_core.events import Failed, Finished, Started
from orchestrator.host import provenance
from orchestrator.launching import dependency, slots
from orchestrator.launching.keeper import Keeper
from orchestrator.launching.leases import claim_again
from orchestrator.records import journal
from orchestrator.records.scan import read_status
from orchestrator.trial.events import Cancelled, Claimed, Held, Submitted
from orchestrator.trial.lifecycle import State
from orchestrator.trial.sweep import Cell, Resources
from orchestrator.trial.value import Trial


def behind(on_disk, parent, *, launcher="slurm"):
    """A trial that was submitted while its parent had not finished."""
    cell = Cell(Trial(TrialConfig(pretrain=parent.id)), {}, Resources(mem_gb=3))
    won = slots.claim_trials(on_disk.layout, [cell], token="t", launcher=launcher, waiting=True)
    assert won == (cell.trial.id,)
    return on_disk.layout.trial(cell.trial.id)


def statuses(*folders):
    return {folder.id: read_status(folder) for folder in folders}


def test_a_trial_waits_until_its_parent_has_finished(on_disk):
    parent = on_disk.trial()
    child = behind(on_disk, parent)
    (status,) = statuses(child).values()
    assert (status.state, status.after, status.submitted, status.job_id) == (State.QUEUED, parent.id, False, "")
    assert dependency.waiting(on_disk.layout, statuses(child, parent)) == {child.id}
    assert dependency.waiting(on_disk.layout, statuses(child)) == {child.id}
    assert dependency.unfinished(on_disk.layout, [parent.id]) == {parent.id}
    on_disk.attempt(parent, [Started(), Finished(step=1)]).close()
    assert dependency.waiting(on_disk.layout, statuses(child, parent)) == set()
    assert dependency.waiting(on_disk.layout, statuses(child)) == set()
    assert dependency.unfinished(on_disk.layout, [parent.id]) == set()


def test_what_it_waits_for_is_said(on_disk):
    parent = on_disk.trial()
    child, start = behind(on_disk, parent), parent.id[:8]

    def said():
        return dependency.remarks(on_disk.layout, statuses(child)).get(child.id, "")

    assert said() == f"waits for {start}"
    assert not dependency.stuck(on_disk.layout, statuses(child))
    journal.record(parent, Held())
    assert said() == f"waits for {start}, which is held: iwm release {start}"
    journal.record(parent, Cancelled())
    assert said() == f"waits for {start}, which was cancelled: iwm resume {start}"
    assert dependency.stuck(on_disk.layout, statuses(child)) == {child.id}
    journal.claim(parent, Claimed(claim=1))
    on_disk.attempt(parent, [Started(claim=1), Failed(error="x")]).close()
    assert said() == f"waits for {start}, which failed: iwm resume {start}"
    on_disk.attempt(parent, [Started(claim=1, attempt=1), Finished()]).close()
    assert said() == ""


def test_a_parent_that_nobody_knows_is_said_to_be_so(on_disk):
    child = behind(on_disk, on_disk.layout.trial("f" * 16))
    assert dependency.remarks(on_disk.layout, statuses(child)) == {
        child.id: "waits for ffffffff, which was never started"
    }


def test_it_is_claimed_again_without_the_condition_and_with_the_same_resources(on_disk):
    child = behind(on_disk, on_disk.trial())
    again = claim_again(child, token="t")
    assert again
    assert (again.claim, again.token, again.after, Resources.of(again.resources).mem_gb) == (1, "t", "", 3)
    assert not read_status(child).may_wait
    assert claim_again(child) is None


def test_one_that_is_held_or_cancelled_does_not_start(on_disk):
    parent = on_disk.trial()
    child = behind(on_disk, parent)
    journal.record(child, Held())
    assert claim_again(child) is None
    journal.record(child, Cancelled())
    assert claim_again(child) is None
    assert dependency.waiting(on_disk.layout, statuses(child, parent)) == set()


def test_the_keeper_passes_it_by_until_then_and_ends_where_it_waits_in_vain(on_disk, monkeypatch):
    monkeypatch.setattr(slots, "ensure_keeper", lambda layout: None)
    parent = on_disk.trial()
    journal.claim(parent, Claimed(claim=1, launcher="local", host=provenance.host()))
    journal.record(parent, Submitted(claim=1, job_id="1"))
    child, keeper = behind(on_disk, parent, launcher="local"), Keeper(on_disk.layout)
    assert keeper._queue(keeper.census.look()) == []
    assert slots.has_work(on_disk.layout, statuses(child))
    journal.record(parent, Cancelled(claim=1))
    assert not slots.has_work(on_disk.layout, statuses(child))
    on_disk.attempt(parent, [Started(claim=1), Finished()]).close()
    ((folder, claim),) = keeper._queue(keeper.census.look())
    assert (folder.id, claim.after) == (child.id, parent.id)
    assert slots.has_work(on_disk.layout, statuses(child))
