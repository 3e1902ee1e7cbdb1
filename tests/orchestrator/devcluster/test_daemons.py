"""Daemons: required programs, names, order, command lines."""

from pathlib import Path

import pytest

from orchestrator.devcluster import ClusterSpec
from orchestrator.devcluster.daemons import PACKAGES, check_installed, chosen, daemons, search_path
from orchestrator.errors import RequestError
from tests.orchestrator.devcluster.conftest import SITE

TWO = daemons(ClusterSpec(nodes=2), site=SITE)


@pytest.fixture
def programs(tmp_path):
    """A folder with every program, and a file with MariaDB's tables beside it."""
    for name in PACKAGES:
        (tmp_path / name).touch(mode=0o755)
    (tmp_path / "tables.sql").touch()
    return tmp_path


def test_all_programs_are_installed(programs):
    check_installed(path=str(programs), tables=programs / "tables.sql")


def test_missing_programs_are_named_with_the_command_that_installs_them(programs):
    for name in ("munged", "sbatch", "scontrol"):
        (programs / name).unlink()
    with pytest.raises(RequestError) as refused:
        check_installed(path=str(programs), tables=programs / "tables.sql")
    assert refused.value.value == {name: PACKAGES[name] for name in ("munged", "sbatch", "scontrol")}
    assert str(refused.value).endswith("apt-get install -y munge slurm-client")


def test_the_tables_of_mariadb_are_needed_too(programs):
    tables = programs / "none.sql"
    with pytest.raises(RequestError) as refused:
        check_installed(path=str(programs), tables=tables)
    assert refused.value.value == {str(tables): "mariadb-server"}


@pytest.mark.parametrize(
    ("path", "searched"),
    [
        ("/usr/bin:/bin", "/usr/bin:/bin:/usr/sbin:/sbin"),
        ("/usr/sbin:/sbin:/bin", "/usr/sbin:/sbin:/bin"),
        ("", "/usr/sbin:/sbin"),
    ],
)
def test_the_search_path_has_the_folders_of_daemons(path, searched):
    assert search_path(path) == searched


def test_each_starts_after_what_it_needs():
    assert tuple(TWO) == ("munged", "mariadbd", "slurmdbd", "slurmctld", "n1", "n2")
    assert chosen(TWO, names=("n2", "slurmctld", "munged")) == ("munged", "slurmctld", "n2")


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(RequestError) as refused:
        chosen(TWO, names=("n3",))
    assert (refused.value.setting, refused.value.value, refused.value.choices) == ("daemon", "n3", tuple(TWO))


def test_a_node_is_a_slurmd_of_that_name():
    assert TWO["n2"].command == ("slurmd", "-D", "-N", "n2")
    assert TWO["slurmctld"].command == ("slurmctld", "-D")


@pytest.mark.parametrize("name", ["munged", "mariadbd"])
def test_these_touch_nothing_outside_the_directory(name):
    paths = [word.partition("=")[2] for word in TWO[name].command if "=/" in word]
    assert paths
    assert all(path.startswith("/tmp/lab/") for path in paths)


def test_services_answer_at_a_door_of_their_own_and_nodes_through_the_controller():
    doors = [daemon.door for daemon in TWO.values()]
    assert doors == [Path("/tmp/lab/munge.sock"), Path("/tmp/lab/db/s.sock"), 20001, 20000, None, None]
