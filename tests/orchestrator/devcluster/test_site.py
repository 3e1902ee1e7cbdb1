"""What a cluster can offer, and where it can live."""

import os
import pwd
import socket
from pathlib import Path

import pytest

from orchestrator.devcluster import ClusterSpec, site
from orchestrator.errors import RequestError


def test_a_path_is_made_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert site.checked_directory(Path("/tmp/a/../lab")) == Path("/tmp/lab")
    if len(str(tmp_path)) < 60:
        assert site.checked_directory(Path("link")) == tmp_path / "real"


@pytest.mark.parametrize("path", ["/tmp/" + "a" * 66, "/tmp/my lab", "/tmp/lab%n", "/tmp/größe"])
def test_a_path_that_slurm_cannot_run_in(path):
    with pytest.raises(RequestError) as refused:
        site.checked_directory(Path(path))
    assert (refused.value.setting, refused.value.path) == ("dir", Path(path))


def test_a_site_of_this_user_on_free_ports():
    made = site.new_site(Path("/tmp/lab"), nodes=3)
    assert made.user == pwd.getpwuid(os.getuid()).pw_name
    assert (made.controller_port, made.accounting_port, made.first_node_port) == tuple(
        range(made.first_port, made.first_port + 3)
    )
    for port in range(made.first_port, made.first_port + 5):
        with socket.socket() as held:
            held.bind(("127.0.0.1", port))
    assert made.first_job_id >= 1000


def test_who_answers(tmp_path):
    door = Path("/tmp") / f"iwm-door-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as server, socket.socket() as other:
        server.bind(str(door))
        assert not site.answers(door)
        server.listen()
        assert site.answers(door)
        other.bind(("127.0.0.1", 0))
        assert not site.answers(other.getsockname()[1])
        other.listen()
        assert site.answers(other.getsockname()[1])
    door.unlink()


def test_nodes_have_names():
    assert ClusterSpec(nodes=3).node_names == ("n1", "n2", "n3")


def test_equal_specs_are_one_key():
    assert len({ClusterSpec(settings=("KillWait=9",)), ClusterSpec(settings=("KillWait=9",))}) == 1


@pytest.mark.parametrize(
    ("setting", "value"),
    [*((name, limits[0] - 1) for name, limits in site.LIMITS.items()), ("gpus", 7)],
)
def test_a_number_outside_its_limits_is_refused(setting, value):
    with pytest.raises(RequestError) as refused:
        ClusterSpec(**{setting: value})
    assert (refused.value.setting, refused.value.value) == (setting, value)


@pytest.mark.parametrize("line", ["KillWait", "A=1\nB=2"])
def test_a_setting_that_is_no_line_of_slurm_conf_is_refused(line):
    with pytest.raises(RequestError) as refused:
        ClusterSpec(settings=(line,))
    assert (refused.value.setting, refused.value.value) == ("settings", line)
