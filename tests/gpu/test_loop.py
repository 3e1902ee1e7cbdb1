"""A whole run on the device says all that it should, in whatever process it runs."""

import math
import multiprocessing
import os
from pathlib import Path

import pytest
import torch

from iwm_core.config import TrialConfig
from iwm_core.evaluation.protocols import AT_THE_END
from iwm_core.events import Checkpoint, Evaluated, Finished, Step
from iwm_core.training import numerics
from tests.gpu.trials import SMALL, attempt, changed, exact


def in_a_child(config: TrialConfig, device: str, folder: Path, number: int, said: Path) -> None:
    def ask(asked: int) -> None:
        if number == 0 and asked == 5:
            os._exit(9)

    ended = attempt(config, torch.device(device), folder=folder, number=number, ask=ask)
    said.write_text(f"{ended.resumed_from} {ended.weights}")


def test_the_bits_do_not_depend_on_the_process(device, tmp_path, monkeypatch):
    """Of a child that dies without a word and one that goes on, in which nothing prepared cuBLAS beforehand."""
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    config, context, codes = exact(SMALL, "bf16"), multiprocessing.get_context("spawn"), []
    for number in (0, 1):
        work = (config, device.type, tmp_path / "run", number, tmp_path / "said")
        child = context.Process(target=in_a_child, args=work)
        child.start()
        child.join(100)
        codes.append(child.exitcode)
        child.kill()
    assert codes == [9, 0]
    monkeypatch.undo()
    step, weights = (tmp_path / "said").read_text().split()
    assert int(step) in (2, 4)  # the last checkpoint may have been under way
    assert weights == attempt(config, device, folder=tmp_path / "twin").weights


def of(kind, seen):
    return [event for event in seen.events if isinstance(event, kind)]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_whole_run_says_all_it_should(precision, device, tmp_path):
    seen = attempt(changed(SMALL, {"train.precision": precision, "train.online_every": 4}), device, folder=tmp_path)
    steps, evaluated = of(Step, seen), of(Evaluated, seen)
    assert [event.step for event in steps] == [event.step for event in of(Checkpoint, seen)] == [2, 4, 6, 8]
    assert [event.protocol for event in evaluated] == list(AT_THE_END)
    assert seen.events[-1] == seen.end
    assert isinstance(seen.end, Finished)
    metrics = [event.metrics for event in (*steps, *evaluated, seen.end)]
    assert all(math.isfinite(value) for said in metrics for value in said.values())
    assert {"online_mrr", "online_knn_top1"} <= seen.curve[4].keys()
    assert seen.fingerprint["device"] == numerics.model(device)
    assert seen.fingerprint["dtype"] == precision
    assert seen.fingerprint["deterministic"] is (device.type == "cpu")
    if device.type == "cuda":
        assert torch.cuda.get_device_name() == seen.fingerprint["device"]
