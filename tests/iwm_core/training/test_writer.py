import errno
import resource
import threading

import pytest
import torch

from iwm_core.errors import CheckpointError
from iwm_core.training import state
from iwm_core.training.checkpoint import CheckpointFolder
from iwm_core.training.writer import CheckpointWriter, copy_to_host
from tests.fakes.held_checkpoints import Held

CPU = torch.device("cpu")


@pytest.fixture
def said():
    return []


@pytest.fixture
def writer(tmp_path, said):
    return CheckpointWriter(CheckpointFolder(tmp_path), device=CPU, written=lambda *written: said.append(written))


@pytest.fixture
def built(tiny):
    return state.build(tiny, device=CPU)


@pytest.fixture
def no_room():
    """A file may not grow beyond a kilobyte in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def payload(step):
    return {"step": step, "weight": torch.full((100, 100), float(step))}


def test_it_writes_the_bytes_that_the_folder_writes(tmp_path, writer, said, built):
    with writer:
        writer.save(built.state_dict(), step=5)
    expected = CheckpointFolder(tmp_path / "direct").save(built.state_dict(), step=5)
    assert said == [(5, expected)]


def test_what_is_trained_next_changes_nothing_of_it(tmp_path, writer):
    weight = torch.zeros(1000, 1000)
    with writer:
        writer.save({"weight": weight}, step=1)
        weight.fill_(1)
    found = CheckpointFolder(tmp_path).newest().payload
    assert found is not None
    assert not found["weight"].any()


def test_the_next_waits_for_the_one_before_and_all_are_told_in_order(tmp_path, writer, said):
    with writer:
        for step in (1, 2, 3):
            writer.save(payload(step), step=step)
            assert [step for step, _ in said] == list(range(1, step))
    assert [step for step, _ in said] == [1, 2, 3]
    found = CheckpointFolder(tmp_path).newest().payload
    assert found is not None
    assert found["weight"][0, 0] == 3


def test_nothing_is_told_before_it_is_on_disk_and_then_by_the_thread_that_asks(tmp_path):
    folder, said = Held(tmp_path), []
    writer = CheckpointWriter(folder, device=CPU, written=lambda *_: said.append(threading.current_thread()))
    with writer:
        writer.save(payload(1), step=1)
        writer.tell()
        assert (said, folder.newest().step) == ([], 0)
        folder.let.set()
        writer.wait()
        assert (said, folder.newest().step) == ([threading.main_thread()], 1)
        writer.tell()
    assert len(said) == 1


@pytest.mark.usefixtures("no_room")
def test_what_the_disk_refuses_is_raised_at_the_next_step(writer, said):
    writer.save(payload(1), step=1)
    with pytest.raises(CheckpointError) as caught:
        writer.wait()
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.EFBIG
    writer.tell()
    assert said == []


@pytest.mark.usefixtures("no_room")
def test_at_the_end_the_error_of_training_stays_the_error_and_the_disks_is_noted(writer):
    def train():
        with writer:
            writer.save(payload(1), step=1)
            raise KeyError("training")

    with pytest.raises(KeyError) as ended:
        train()
    assert "File too large" in ended.value.__notes__[0]


def test_a_copy_is_equal_refers_to_nothing_and_uses_its_memory_again(built):
    first = copy_to_host(built.state_dict())
    original, copied = built.state_dict()["world_model"], first["world_model"]
    assert list(copied) == list(original)
    assert copied._metadata == original._metadata
    assert all(torch.equal(copied[name], original[name]) for name in original)
    assert not {weight.data_ptr() for weight in copied.values()} & {weight.data_ptr() for weight in original.values()}
    second = copy_to_host(built.state_dict(), into=first)
    assert all(second["world_model"][name] is copied[name] for name in copied)


def test_a_payload_that_has_grown_is_copied_whole():
    earlier = copy_to_host({"sizes": [torch.ones(2)], "state": {}})
    grown = {"sizes": [torch.ones(3), torch.ones(1)], "state": {0: {"exp_avg": torch.ones(2)}}, "betas": (0.9, 0.99)}
    copied = copy_to_host(grown, into=earlier)
    assert [len(size) for size in copied["sizes"]] == [3, 1]
    assert torch.equal(copied["state"][0]["exp_avg"], torch.ones(2))
    assert copied["betas"] == (0.9, 0.99)
