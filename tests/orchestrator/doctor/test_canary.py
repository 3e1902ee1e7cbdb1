"""The trial that is sent. Its stages: tests/slurm/test_doctor.py."""

from dataclasses import replace

import pytest

from orchestrator.doctor.canary import STEPS_CPU, STEPS_GPU, canary_cell, prepare, send_all, signal_command
from orchestrator.doctor.finding import Verdict
from orchestrator.doctor.partitions import CanaryRequest, choose
from orchestrator.errors import OverrideError, RequestError
from orchestrator.host.slurm import Answer
from orchestrator.records.layout import Layout
from tests.orchestrator.doctor.test_partitions import GPU, PARTITIONS, URGENT


def test_it_suits_the_partition():
    with_gpus, without = canary_cell(GPU), canary_cell(replace(GPU, gpus=0, max_minutes=1))
    assert (with_gpus.resources.partition, with_gpus.resources.time_limit_min) == ("gpu", 5)
    assert (with_gpus.resources.device, with_gpus.trial.config.train.steps) == ("auto", STEPS_GPU)
    assert (without.resources.device, without.trial.config.train.steps) == ("cpu", STEPS_CPU)
    assert without.resources.signal_before_s < without.resources.time_limit_min * 60 == 60


def test_overrides_win_but_for_the_partition():
    words = ["resources.account=mine", "train.steps=77", "resources.device=cpu", "resources.partition=other"]
    cell = canary_cell(GPU, words)
    assert (cell.resources.account, cell.resources.partition, cell.trial.config.train.steps) == ("mine", "gpu", 77)


def test_all_are_composed_before_one_is_sent():
    def ask(command):
        return Answer(code=0, out=PARTITIONS, err="")

    assert [name for name, _ in prepare(CanaryRequest(partitions=("urgent", "gpu")), ask=ask)] == ["urgent", "gpu"]
    with pytest.raises(OverrideError):
        prepare(CanaryRequest(overrides=("resources.acount=mine",)), ask=ask)


def test_without_slurm_it_is_not_sent(tmp_path):
    prepared = prepare(CanaryRequest(), ask=lambda command: Answer(code=127, out="", err="not installed"))
    (line,) = send_all(Layout.of(tmp_path, environ={}), prepared, wait_s=1, say=print)
    assert line.verdict is Verdict.FAILED
    assert not list(tmp_path.iterdir())


def test_the_signal():
    assert signal_command("12_0") == ["scancel", "--signal=USR2", "12_0"]


@pytest.mark.parametrize(
    ("names", "chosen"), [((), [GPU]), (("urgent",), [URGENT]), (("urgent", "gpu", "urgent"), [URGENT, GPU])]
)
def test_named_ones_or_the_default_one(names, chosen):
    assert choose([GPU, URGENT], names=names) == chosen


def test_an_unknown_partition_or_none():
    with pytest.raises(RequestError) as unknown:
        choose([GPU, URGENT], names=["gpus"])
    assert (unknown.value.value, unknown.value.choices) == ("gpus", ("gpu", "urgent"))
    with pytest.raises(RequestError) as none:
        choose([URGENT], names=[])
    assert (none.value.setting, none.value.choices) == ("partition", ("urgent",))
