"""What may be deleted."""

from iwm_core.events import Finished, Started
from orchestrator.records.checkpoints import collect


def checkpoints(folder, *names):
    folder.checkpoints.mkdir(parents=True)
    for name in names:
        (folder.checkpoints / f"step-{name}.pt").write_bytes(b"x" * 1000)
        (folder.checkpoints / f"step-{name}.pt.sha256").write_text("x" * 10)


def names(garbage):
    return sorted(path.name for path in garbage.files if path.suffix == ".pt")


def test_a_finished_trial_keeps_its_last_checkpoint(on_disk):
    folder = on_disk.trial()
    checkpoints(folder, "00000050-a0000", "00000100-a0000", "00000100-a0001")
    on_disk.attempt(folder, [Finished(step=100)]).close()
    found = collect(on_disk.layout, [folder.id], apply=False)
    assert names(found) == ["step-00000050-a0000.pt", "step-00000100-a0000.pt"]
    assert (found.size_bytes, found.deleted) == (2020, False)
    assert found.sentence() == "would free 0.0 MB in 2 checkpoints; delete them with --apply"
    collect(on_disk.layout, [folder.id], apply=True)
    assert sorted(path.name for path in folder.checkpoints.iterdir()) == [
        "step-00000100-a0001.pt",
        "step-00000100-a0001.pt.sha256",
    ]


def test_an_unfinished_trial_keeps_two(on_disk):
    folder = on_disk.trial()
    checkpoints(folder, "00000050-a0000", "00000100-a0000", "00000150-a0000")
    assert names(collect(on_disk.layout, [folder.id], apply=False)) == ["step-00000050-a0000.pt"]


def test_a_running_trial_is_left_alone(on_disk):
    folder = on_disk.trial()
    checkpoints(folder, "00000050-a0000", "00000100-a0000", "00000150-a0000")
    on_disk.attempt(folder, [Started()]).close()
    assert collect(on_disk.layout, [folder.id], apply=True).files == ()


def test_other_files_are_never_touched(on_disk):
    folder = on_disk.trial()
    checkpoints(folder, "00000050-a0000")
    (folder.checkpoints / "batch-of-step-3.pt").write_bytes(b"kept")
    assert collect(on_disk.layout, [folder.id], apply=True).files == ()
