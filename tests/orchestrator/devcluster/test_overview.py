"""What sinfo and squeue say, and what a log gives as a reason."""

from pathlib import Path

import pytest

from orchestrator.devcluster import overview
from orchestrator.devcluster.overview import Job, Node, Overview

SINFO = """n1|gpu|mixed|1/3/0/4|gpu:2|none
n1|urgent|mixed|1/3/0/4|gpu:2|none
n2|gpu|down*|0/0/4/4|gpu:2|Not responding | at all
"""
SQUEUE = """4711_3|gpu|PENDING|Resources|
4711_1|gpu|RUNNING|None|n1
"""


def test_a_node_has_all_its_partitions():
    assert overview.parse_nodes(SINFO) == (
        Node("n1", ("gpu", "urgent"), "mixed", "1/3/0/4", "gpu:2", "none"),
        Node("n2", ("gpu",), "down*", "0/0/4/4", "gpu:2", "Not responding | at all"),
    )


def test_jobs():
    assert overview.parse_jobs(SQUEUE) == (
        Job("4711_3", "gpu", "PENDING", "Resources", ""),
        Job("4711_1", "gpu", "RUNNING", "None", "n1"),
    )


def test_nothing_is_nothing():
    assert overview.parse_nodes("") == overview.parse_jobs("") == ()


def test_what_keeps_a_cluster_from_being_idle():
    seen = Overview(
        Path("/tmp/lab"), {"slurmctld": 7, "n1": None}, overview.parse_nodes(SINFO), overview.parse_jobs(SQUEUE)[:1]
    )
    assert seen.busy == ("n1 is down", "job 4711_3 is PENDING", "n1 is mixed", "n2 is down*")
    assert [overview.to_row(node)["partitions"] for node in seen.nodes] == ["gpu urgent", "gpu"]
    assert seen.to_dict()["down"] == ["n1"]
    assert Overview(Path("/tmp/lab"), {"munged": 7}).busy == ("slurmctld does not answer",)


@pytest.mark.parametrize(
    ("state", "up", "out"),
    [
        ("idle\n", True, False),
        ("mixed\n", True, False),
        ("drained\n", True, True),
        ("down\n", False, True),
        ("down*\n", False, True),
        ("idle*\n", False, False),
        ("unknown\n", False, False),
        ("", False, False),
    ],
)
def test_states_of_nodes(state, up, out):
    assert (overview.is_up(state), overview.is_out(state)) == (up, out)


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (
            "started\nerror: unknown key: Foo\nfatal: no configuration\n\n",
            "error: unknown key: Foo; fatal: no configuration",
        ),
        ("started\nended\n", "ended"),
        ("", "its log is empty"),
    ],
)
def test_the_reason_that_a_log_gives(log, said):
    assert overview.error_summary(log) == said
