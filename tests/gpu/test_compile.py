"""Compiled networks are the same function, and resume."""

import shutil

import pytest
import torch

from tests.gpu.trials import SMALL, attempt, changed, exact

TINY = exact(changed(SMALL, {"encoder.depth": 1, "predictor.depth": 1, "train.log_every": 1}), "fp32")


@pytest.fixture
def _compiler():
    if not any(shutil.which(name) for name in ("cc", "gcc", "clang", "g++")):
        pytest.skip("torch.compile needs a compiler")
    yield
    torch.compiler.reset()


@pytest.mark.slow
@pytest.mark.usefixtures("_compiler")
def test_a_compiled_run_agrees_with_one_that_is_not_and_resumes(device, tmp_path):
    compiled = changed(TINY, {"train.compile": True})
    eager = attempt(TINY, device, folder=tmp_path / "eager")
    twin = attempt(compiled, device, folder=tmp_path / "twin")
    for step, metrics in eager.curve.items():
        assert twin.curve[step]["loss"] == pytest.approx(metrics["loss"], rel=1e-3), step
    torch.compiler.reset()  # as in a new process
    attempt(compiled, device, folder=tmp_path / "run", ask=lambda asked: "SIGTERM" if asked == 3 else None)
    ended = attempt(compiled, device, folder=tmp_path / "run", number=1)
    assert ended.resumed_from == 3
    assert ended.weights == twin.weights
