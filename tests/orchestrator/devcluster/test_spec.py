"""A spec that SLURM could not serve is refused with what is valid."""

import pytest

from orchestrator.devcluster import ClusterSpec
from orchestrator.errors import RequestError


def test_nodes_have_names():
    assert ClusterSpec(nodes=3).node_names == ("n1", "n2", "n3")


def test_equal_specs_are_one_key():
    assert {ClusterSpec(settings=("KillWait=9",)), ClusterSpec(settings=("KillWait=9",))} == {
        ClusterSpec(settings=("KillWait=9",))
    }


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"nodes": 0}, "1 to 100 nodes, not 0"),
        ({"gpus": 7}, "0 to 6 GPUs per node, not 7"),
        ({"requeue_delay_s": 4}, "5 to 3600 seconds of requeue delay, not 4"),
        ({"grace_s": -1}, "0 to 3600 seconds of grace, not -1"),
        ({"settings": ("KillWait",)}, "KEY=VALUE, not 'KillWait'"),
        ({"settings": ("A=1\nB=2",)}, "KEY=VALUE"),
    ],
)
def test_a_wrong_spec_is_refused(wrong, said):
    with pytest.raises(RequestError, match=said):
        ClusterSpec(**wrong)
