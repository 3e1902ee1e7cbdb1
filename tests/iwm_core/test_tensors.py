"""Moving a tensor changes neither its values nor, on the same device, its memory."""

import pytest
import torch

from iwm_core.tensors import onto


def test_on_the_same_device_nothing_moves():
    x = torch.arange(6)
    assert onto(x, "cpu").data_ptr() == x.data_ptr()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_the_host_does_not_wait():
    x = torch.arange(6)
    torch.cuda.set_sync_debug_mode("error")
    try:
        moved = onto(x, "cuda")
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert torch.equal(moved.cpu(), x)
