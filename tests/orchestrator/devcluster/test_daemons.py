"""Daemons: names, order, command lines."""

from pathlib import Path

import pytest

from orchestrator.devcluster import ClusterSpec, daemons
from orchestrator.devcluster.site import Site
from orchestrator.errors import RequestError

SITE = Site(directory=Path("/tmp/lab"), user="ada", first_port=20000, first_job_id=4711, loopback_only=False)
TWO = ClusterSpec(nodes=2)


def test_each_starts_after_what_it_needs():
    assert daemons.daemon_names(TWO) == ("munged", "mariadbd", "slurmdbd", "slurmctld", "n1", "n2")
    assert daemons.chosen(TWO, names=("n2", "slurmctld", "munged")) == ("munged", "slurmctld", "n2")


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(RequestError, match=r"unknown daemon 'n3'; choose from munged, .*, n1, n2$"):
        daemons.chosen(TWO, names=("n3",))


def test_a_node_is_a_slurmd_of_that_name():
    assert daemons.command("n2", site=SITE) == ["slurmd", "-D", "-N", "n2"]
    assert daemons.command("slurmctld", site=SITE) == ["slurmctld", "-D"]


@pytest.mark.parametrize("name", ["munged", "mariadbd"])
def test_these_touch_nothing_outside_the_directory(name):
    paths = [word.partition("=")[2] for word in daemons.command(name, site=SITE) if "=/" in word]
    assert paths
    assert all(path.startswith("/tmp/lab/") for path in paths)


def test_services_answer_at_a_door_of_their_own_and_nodes_through_the_controller():
    doors = [daemons.door(name, site=SITE) for name in daemons.daemon_names(TWO)]
    assert doors == [Path("/tmp/lab/munge.sock"), Path("/tmp/lab/db/s.sock"), 20001, 20000, None, None]
