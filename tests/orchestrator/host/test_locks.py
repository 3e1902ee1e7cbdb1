"""Locks that die with their holder."""

import multiprocessing
import os
import signal

import pytest

from orchestrator.host.locks import Lock, holding, is_held


def hold(path, ready):
    lock = Lock(path)
    assert lock.take()
    ready.set()
    signal.pause()


def test_a_killed_holder_lets_go(tmp_path):
    path = tmp_path / "a" / "lock"
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    holder = context.Process(target=hold, args=(path, ready))
    holder.start()
    assert ready.wait(30)
    assert is_held(path)
    with holding(path, wait_s=0) as ours:
        assert not ours
    assert holder.pid
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    assert not is_held(path)


def test_a_probe_does_not_hold(tmp_path):
    path = tmp_path / "lock"
    assert not is_held(path)
    with holding(path) as ours:
        assert ours
        assert is_held(path)
    assert not is_held(path)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")  # Python 3.12 warns of fork beside threads
def test_a_forked_child_is_no_holder(tmp_path):
    lock = Lock(tmp_path / "lock")
    assert lock.take()
    born, is_born = os.pipe()
    end, wait_for_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(wait_for_end)
        os.write(is_born, b"x")
        os.read(end, 1)
        os._exit(0)
    os.read(born, 1)
    lock.close()
    held = is_held(tmp_path / "lock")
    for pipe in (wait_for_end, end, born, is_born):
        os.close(pipe)
    os.waitpid(child, 0)
    assert not held
