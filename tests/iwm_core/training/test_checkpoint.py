import contextlib
import errno
import resource
import subprocess
import sys
import time
from fractions import Fraction

import pytest
import torch

from iwm_core.errors import CheckpointError
from iwm_core.training.checkpoint import CheckpointFolder


def payload(step):
    return {"step": step, "weight": torch.full((4, 4), float(step)), "betas": (0.9, 0.999), "none": None}


def filled(folder, *steps, **settings):
    checkpoints = CheckpointFolder(folder, **settings)
    for step in steps:
        checkpoints.save(payload(step), step=step)
    return checkpoints


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@contextlib.contextmanager
def full_disk(*, bytes_left):
    """A file may not grow beyond `bytes_left` in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_left, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_an_empty_or_absent_folder_has_nothing(tmp_path):
    assert CheckpointFolder(tmp_path / "absent").newest() == (None, 0, [])


def test_the_newest_comes_back_as_it_was_saved(tmp_path):
    found, step, skipped = filled(tmp_path, 50, 100).newest()
    assert found is not None
    assert (step, skipped, found["betas"], found["none"]) == (100, [], (0.9, 0.999), None)
    assert torch.equal(found["weight"], payload(100)["weight"])


def test_names_carry_step_and_attempt_and_the_digest_is_sha256sums(tmp_path):
    sha256 = filled(tmp_path, attempt=3).save(payload(100), step=100)
    assert names(tmp_path) == ["step-00000100-a0003.pt", "step-00000100-a0003.pt.sha256"]
    said = subprocess.run(
        ["sha256sum", "-c", "step-00000100-a0003.pt.sha256"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert said.stdout == "step-00000100-a0003.pt: OK\n"
    assert (tmp_path / "step-00000100-a0003.pt.sha256").read_text().startswith(sha256)


def test_the_last_few_are_kept(tmp_path):
    filled(tmp_path, 10, 20, 30, 40, keep=2)
    assert [name for name in names(tmp_path) if name.endswith(".pt")] == [
        "step-00000030-a0000.pt",
        "step-00000040-a0000.pt",
    ]
    assert len(names(tmp_path)) == 4


def truncate(file):
    file.write_bytes(file.read_bytes()[:-100])


def flip_a_bit(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def empty(file):
    file.write_bytes(b"")


def lose_the_digest(file):
    file.with_name(file.name + ".sha256").unlink()


def tear_the_digest(file):
    file.with_name(file.name + ".sha256").write_bytes(b"")


@pytest.mark.parametrize("damage", [truncate, flip_a_bit, empty, lose_the_digest, tear_the_digest])
def test_a_damaged_newest_is_named_and_the_one_before_is_taken(tmp_path, damage):
    checkpoints = filled(tmp_path, 50, 100)
    damage(tmp_path / "step-00000100-a0000.pt")
    found, step, skipped = checkpoints.newest()
    assert found is not None
    assert (step, found["step"], len(skipped)) == (50, 50, 1)
    assert skipped[0].startswith("step-00000100-a0000.pt was skipped: ")
    assert "checksum" in skipped[0]


def test_a_checkpoint_that_is_whole_but_not_ours_is_skipped(tmp_path):
    filled(tmp_path, 50).save({"object": Fraction(1, 2)}, step=100)
    found, step, skipped = CheckpointFolder(tmp_path).newest()
    assert (found is not None, step, len(skipped)) == (True, 50, 1)


def test_damaged_files_do_not_push_out_good_ones(tmp_path):
    filled(tmp_path, 10, 20, 30, keep=3)
    truncate(tmp_path / "step-00000030-a0000.pt")
    later = CheckpointFolder(tmp_path, attempt=1, keep=2)
    later.newest()
    later.save(payload(30), step=30)
    assert [name for name in names(tmp_path) if name.endswith(".pt")] == [
        "step-00000020-a0000.pt",
        "step-00000030-a0001.pt",
    ]


def test_what_a_superseded_attempt_wrote_is_not_read(tmp_path):
    filled(tmp_path, 100, attempt=0)
    filled(tmp_path, 60, attempt=1)
    fenced = CheckpointFolder(tmp_path, attempt=2, trusted=lambda step, attempt: (step, attempt) != (100, 0))
    _, step, skipped = fenced.newest()
    assert step == 60
    assert "attempt 0 wrote it after a newer attempt had started" in skipped[0]


def test_of_equal_steps_the_later_attempt_is_taken(tmp_path):
    for attempt in (1, 0):
        CheckpointFolder(tmp_path, attempt=attempt, keep=9).save({"attempt": attempt}, step=10)
    found, _, _ = CheckpointFolder(tmp_path, attempt=2).newest()
    assert found == {"attempt": 1}


def test_a_late_writer_removes_nothing_of_a_newer_attempt(tmp_path):
    filled(tmp_path, 10, 20, attempt=1, keep=2)
    filled(tmp_path, 30, 40, attempt=0, keep=1)
    assert [name for name in names(tmp_path) if name.endswith(".pt")] == [
        "step-00000010-a0001.pt",
        "step-00000020-a0001.pt",
        "step-00000040-a0000.pt",
    ]


def test_a_kill_between_the_two_renames_leaves_the_one_before(tmp_path):
    filled(tmp_path, 50, 100)
    newest = tmp_path / "step-00000100-a0000.pt"
    newest.rename(tmp_path / "step-00000100-a0000.pt.tmp")
    assert CheckpointFolder(tmp_path, attempt=1).newest()[1:] == (50, [])


def test_leftovers_of_dead_writers_are_removed_and_those_of_newer_attempts_are_not(tmp_path):
    for name in ("step-00000070-a0000.pt.tmp", "step-00000070-a0000.pt.sha256", "step-00000080-a0009.pt.tmp"):
        (tmp_path / name).write_bytes(b"torn")
    filled(tmp_path, 90, attempt=1)
    assert names(tmp_path) == [
        "step-00000080-a0009.pt.tmp",
        "step-00000090-a0001.pt",
        "step-00000090-a0001.pt.sha256",
    ]


@pytest.mark.parametrize("bytes_left", [0, 1000])
def test_a_full_disk_is_named_and_the_one_before_stays(tmp_path, bytes_left):
    checkpoints = filled(tmp_path, 50)
    before = names(tmp_path)
    with full_disk(bytes_left=bytes_left), pytest.raises(CheckpointError) as caught:
        checkpoints.save(payload(100), step=100)
    assert caught.value.path == tmp_path
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.EFBIG
    assert names(tmp_path) == before
    assert checkpoints.newest().step == 50


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(CheckpointError) as caught:
        CheckpointFolder(tmp_path / "taken").save(payload(1), step=1)
    assert caught.value.path == tmp_path / "taken"


WRITER = """
import sys, torch
from iwm_core.training.checkpoint import CheckpointFolder
checkpoints = CheckpointFolder(sys.argv[1], keep=2)
for step in range(1, 100000):
    checkpoints.save({"step": step, "weight": torch.full((100, 100), float(step))}, step=step)
    print(step, flush=True)
"""


def test_sigkill_at_any_moment_leaves_a_whole_checkpoint(tmp_path):
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    with writer.stdout:
        said = writer.stdout.readline()
        time.sleep(0.05)
        writer.kill()
        said += writer.stdout.read()
        writer.wait()
    found, step, skipped = CheckpointFolder(tmp_path, attempt=1).newest()
    assert found is not None
    assert skipped == []
    assert step >= int(said.split()[-1])
    assert torch.equal(found["weight"], torch.full((100, 100), float(step)))


def test_a_whole_checkpoint_that_cannot_be_read_just_now_is_neither_skipped_nor_removed(tmp_path, monkeypatch):
    folder = filled(tmp_path, 50, 100)

    def no_memory(*args, **kwargs):
        raise RuntimeError("cannot allocate memory")

    monkeypatch.setattr(torch, "load", no_memory)
    with pytest.raises(CheckpointError) as caught:
        folder.newest()
    assert caught.value.path == tmp_path / "step-00000100-a0000.pt"
    monkeypatch.undo()
    assert folder.newest().step == 100
