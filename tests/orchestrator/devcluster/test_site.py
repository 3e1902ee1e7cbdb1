"""Where a cluster can live."""

import os
import pwd
import socket
from pathlib import Path

import pytest

from orchestrator.devcluster import site
from orchestrator.errors import RequestError


def test_a_path_is_made_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert site.checked_directory(Path("/tmp/a/../lab")) == Path("/tmp/lab")
    if len(str(tmp_path)) < 60:
        assert site.checked_directory(Path("link")) == tmp_path / "real"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/tmp/" + "a" * 66, "71 characters are too long .* 70 at most"),
        ("/tmp/my lab", "letters, digits"),
        ("/tmp/lab%n", "letters, digits"),
        ("/tmp/größe", "letters, digits"),
    ],
)
def test_a_path_that_slurm_could_not_live_in(path, said):
    with pytest.raises(RequestError, match=said):
        site.checked_directory(Path(path))


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
