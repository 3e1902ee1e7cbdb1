"""Between two log lines the host runs ahead of the device and waits for nothing."""

import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from tests.gpu.trials import CASES, SMALL, attempt, changed


@contextmanager
def noting_waits() -> Iterator[list[str]]:
    """Where the host waited for the device, as far as torch's debug mode sees it."""
    seen: list[str] = []

    def note(message: object, *where: object) -> None:
        if "called a synchronizing" in str(message):
            ours = [frame for frame in traceback.extract_stack() if "/iwm_core/" in frame.filename]
            seen.append(f"{ours[-1].filename}:{ours[-1].lineno}: {ours[-1].line}" if ours else str(message))

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = note
        yield seen


@pytest.mark.parametrize(("case", "precision"), [("iwm", "fp32"), *((case, "bf16") for case in CASES)])
def test_between_two_log_lines_the_host_waits_for_nothing(case, precision, cuda, tmp_path):
    settings = {"train.precision": precision, "train.log_every": 100, "photometric.blur_p": 0.5}
    config = changed(SMALL, {**CASES[case], **settings, "masks.context_ratio": 0.25, "masks.target_ratio": 0.14})

    def ask(asked: int) -> str | None:
        if asked in (3, 7):  # the first steps make what is kept: the optimiser's state, constants, plans of kernels
            torch.cuda.set_sync_debug_mode("warn" if asked == 3 else "default")
        return "SIGTERM" if asked == 7 else None

    with noting_waits() as waits:
        attempt(config, cuda, folder=tmp_path, ask=ask, checkpoint_every_steps=100)
    assert not waits, "\n".join(sorted(set(waits)))
