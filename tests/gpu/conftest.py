"""What only a GPU can show: `python -m pytest -m gpu tests/gpu`.

Without a GPU these tests are skipped; IWM_REQUIRE_GPU=1 makes them fail, and IWM_GPU_TESTS_ON=cpu runs the same bodies
on the CPU, as a rehearsal. They import torch, torchvision, timm, scikit-learn and the core, and nothing of the shell.
"""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import distributed

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
"""torch before 2.10 reads it once, at the process's first matrix product, which may be that of another test."""

REHEARSED = os.environ.get("IWM_GPU_TESTS_ON") == "cpu"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What a driver or a compiler warns of is shown and no error here."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("default"))


@pytest.fixture(scope="session")
def device() -> torch.device:
    """The GPU; in a rehearsal the CPU."""
    if REHEARSED:
        return torch.device("cpu")
    if not torch.cuda.is_available():
        refuse = pytest.fail if os.environ.get("IWM_REQUIRE_GPU") == "1" else pytest.skip
        refuse("no GPU")
    return torch.device("cuda")


@pytest.fixture
def cuda(device: torch.device) -> torch.device:
    """The GPU, for what a CPU does not have."""
    if device.type != "cuda":
        pytest.skip("CUDA alone")
    return device


@pytest.fixture(autouse=True)
def _as_it_was(device: torch.device) -> Iterator[None]:
    """One thread, as trials have, and after a test nothing that the next one would feel."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)
    if distributed.is_initialized():
        distributed.destroy_process_group()
    gc.collect()
    if device.type == "cuda":
        torch.cuda.set_sync_debug_mode("default")
        torch.cuda.set_per_process_memory_fraction(1.0)
        torch.cuda.synchronize()  # an error that a kernel left behind is this test's own
        torch.cuda.empty_cache()
