import json

import pytest
import torch

from iwm_core.config import RuntimeConfig, TrainConfig, TrialConfig
from iwm_core.errors import ConfigError, DeviceMemoryError
from iwm_core.training import numerics

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def test_auto_takes_what_there_is():
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert numerics.device(RuntimeConfig(device="auto")).type == expected


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has what the test asks for in vain")
def test_cuda_that_is_not_there_is_named():
    with pytest.raises(ConfigError) as caught:
        numerics.device(RuntimeConfig(device="cuda"))
    assert (caught.value.setting, caught.value.choices) == ("resources.device", ("cpu", "auto"))


@pytest.mark.parametrize(
    ("setting", "device", "expected"), [(None, CPU, True), (None, CUDA, False), (False, CPU, False), (True, CUDA, True)]
)
def test_bits_are_promised_on_the_cpu_unless_the_configuration_says(setting, device, expected):
    assert numerics.is_deterministic(TrainConfig(deterministic=setting), device=device) is expected


def test_arithmetic_is_set_and_afterwards_as_it_was():
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    with numerics.arithmetic(TrainConfig(threads=2), device=CPU):
        assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == (2, True)
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_autocast_is_for_matrix_products_of_a_bf16_trial(precision, dtype):
    a = torch.ones(2, 2)
    with numerics.autocast(TrainConfig(precision=precision), device=CPU):
        assert (a @ a).dtype == dtype


def test_the_fingerprint_is_plain_and_names_what_may_change_a_bit():
    config = TrialConfig(train=TrainConfig(precision="bf16", threads=3))
    fingerprint = numerics.fingerprint(config, device=CPU)
    assert json.loads(json.dumps(fingerprint)) == fingerprint
    expected = {"dtype": "bf16", "threads": 3, "ranks": 1, "attention": "explicit", "deterministic": True}
    assert expected.items() <= fingerprint.items()
    assert fingerprint["device"]


def test_a_device_without_memory_is_an_error_that_names_what_helps():
    with pytest.raises(DeviceMemoryError) as caught, numerics.arithmetic(TrainConfig(), device=CPU):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
    assert numerics.THRIFT in str(caught.value)
