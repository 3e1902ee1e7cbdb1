import multiprocessing
import random
import re
import signal
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from iwm_core.config import DataConfig, TrainConfig, TrialConfig
from iwm_core.data.datasets import load
from iwm_core.data.loader import PREEMPTION, batch_at, batches, indices
from iwm_core.errors import DataError

CONFIG = TrialConfig(
    data=DataConfig(kind="random", random_images=50, stored_size=24, image_size=16),
    train=TrainConfig(steps=12, batch_size=8),
)

SIGNALLED = """
import os
from pathlib import Path
from iwm_core.config import DataConfig, TrainConfig, TrialConfig
from iwm_core.data.datasets import load
from iwm_core.data.loader import PREEMPTION, batches

def descendants(pid):
    children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return children + [below for child in children for below in descendants(child)]

if __name__ == "__main__":
    config = TrialConfig(data=DataConfig(kind="random", random_images=50), train=TrainConfig(steps=40))
    stream = batches(load(config.data, split="train"), config, start=0, workers=2)
    next(stream)
    for child in descendants(os.getpid()):
        for number in PREEMPTION:
            os.kill(child, number)
    assert len([next(stream) for _ in range(20)]) == 20
    print(*descendants(os.getpid()), flush=True)
    {end}
"""


@pytest.fixture(scope="module")
def dataset():
    return load(CONFIG.data, split="train")


def assert_same(first, second):
    assert first.step == second.step
    np.testing.assert_array_equal(first.index_B, second.index_B)
    assert torch.equal(first.image_BCHW, second.image_BCHW)


def test_every_epoch_shows_each_image_once_in_its_own_order():
    seen = np.concatenate([indices(CONFIG, 50, step) for step in range(25)]).reshape(4, 50)
    np.testing.assert_array_equal(np.sort(seen, 1), np.tile(np.arange(50), (4, 1)))
    assert not (seen[0] == seen[1]).all()


def test_the_order_depends_on_the_seed():
    assert (indices(CONFIG, 50, 0) != indices(replace(CONFIG, seed=1), 50, 0)).any()


def test_a_set_smaller_than_the_batch_is_repeated():
    assert np.bincount(indices(CONFIG, 3, 0), minlength=3).tolist() in ([2, 3, 3], [3, 2, 3], [3, 3, 2])


def test_batches_are_those_of_their_steps(dataset):
    stream = list(batches(dataset, CONFIG, start=5, workers=0))
    assert [batch.step for batch in stream] == list(range(5, 12))
    for batch in stream:
        assert_same(batch, batch_at(dataset, CONFIG, batch.step))
        assert batch.image_BCHW.shape == (8, 3, 16, 16)
        assert batch.image_BCHW.dtype == torch.uint8


def test_crops_and_flips_change_with_the_step(dataset):
    one_image = replace(CONFIG, train=TrainConfig(steps=2, batch_size=50))
    first, second = (batch_at(dataset, one_image, step) for step in (0, 1))
    at = [int(np.flatnonzero(batch.index_B == 0)[0]) for batch in (first, second)]
    assert not torch.equal(first.image_BCHW[at[0]], second.image_BCHW[at[1]])


def test_nothing_is_left_after_the_last_step(dataset):
    for workers in (0, 2):
        assert list(batches(dataset, CONFIG, start=12, workers=workers)) == []


def test_workers_change_nothing_and_end_with_the_stream(dataset):
    torch.manual_seed(0)
    random.seed(0)
    before = torch.get_rng_state(), random.getstate()
    with closing(batches(dataset, CONFIG, start=2, workers=2)) as stream:
        got = [next(stream)]
        assert len(multiprocessing.active_children()) == 2
        got += [next(stream) for _ in range(5)]
    assert multiprocessing.active_children() == []
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    for batch in got:
        assert_same(batch, batch_at(dataset, CONFIG, batch.step))
    assert [batch.step for batch in got] == list(range(2, 8))


@pytest.mark.slow
def test_workers_and_their_server_end_with_a_trainer_that_is_killed(tmp_path):
    script = tmp_path / "killed.py"
    script.write_text(SIGNALLED.replace("{end}", "os.kill(os.getpid(), 9)"))
    ended = subprocess.run([sys.executable, script], timeout=60, check=False, capture_output=True, text=True)
    assert ended.returncode == -9
    children = [Path(f"/proc/{child}") for child in ended.stdout.split()]
    assert len(children) == 4  # the resource tracker, the fork server and two workers
    assert _within(10, lambda: not any(child.exists() for child in children))


def test_unreadable_files_are_counted_over_all_workers(tmp_path):
    folder = tmp_path / "train" / "only"
    folder.mkdir(parents=True)
    Image.new("RGB", (20, 20)).save(folder / "good.png")
    for n in range(8):
        (folder / f"bad{n}.png").touch()
    config = replace(CONFIG, data=DataConfig(kind="imagefolder", image_size=16, max_corrupt_files=8))
    tolerant = load(config.data, split="train", root=str(tmp_path))
    streams = [list(batches(tolerant, config, start=8, workers=workers)) for workers in (0, 2)]
    for first, second in zip(*streams, strict=True):
        assert_same(first, second)
    strict = load(replace(config.data, max_corrupt_files=5), split="train", root=str(tmp_path))
    with closing(batches(strict, config, start=0, workers=2)) as stream, pytest.raises(DataError) as caught:
        list(stream)
    assert re.fullmatch(r"[678] unreadable images, the last \S+ \(.*\); data.max_corrupt_files=5 .*", str(caught.value))


def test_preemption_still_reaches_the_trainer(dataset):
    with closing(batches(dataset, CONFIG, start=0, workers=1)) as stream:
        next(stream)
        assert not signal.pthread_sigmask(signal.SIG_BLOCK, []) & PREEMPTION


def test_workers_survive_the_signals_of_preemption_and_an_exit_that_forgets_them(tmp_path):
    script = tmp_path / "signalled.py"
    script.write_text(SIGNALLED.replace("{end}", "raise SystemExit(7)"))
    ended = subprocess.run([sys.executable, script], timeout=60, check=False, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (7, "")


def test_the_pixels_do_not_depend_on_the_thread_count(dataset):
    whole = replace(CONFIG, train=TrainConfig(steps=1, batch_size=50))
    threads = torch.get_num_threads()
    try:
        made = []
        for count in (1, 2):
            torch.set_num_threads(count)
            made.append(batch_at(dataset, whole, 0))
    finally:
        torch.set_num_threads(threads)
    assert_same(*made)


def _within(seconds, condition):
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.02)
    return condition()
