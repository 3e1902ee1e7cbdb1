"""Which partitions a canary is sent to."""

import pytest

from orchestrator.doctor.errand import choose
from orchestrator.errors import RequestError
from tests.orchestrator.doctor.test_partitions import GPU, URGENT


@pytest.mark.parametrize(
    ("names", "chosen"), [((), [GPU]), (("urgent",), [URGENT]), (("urgent", "gpu", "urgent"), [URGENT, GPU])]
)
def test_named_ones_or_the_default_one(names, chosen):
    assert choose([GPU, URGENT], names=names) == chosen


def test_an_unknown_partition_or_none():
    with pytest.raises(RequestError, match="unknown partition 'gpus'; choose from gpu, urgent"):
        choose([GPU, URGENT], names=["gpus"])
    with pytest.raises(RequestError, match="--partition: urgent"):
        choose([URGENT], names=[])
