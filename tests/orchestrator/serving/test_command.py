"""How MLflow's server is called, where it listens, and who must give a password."""

import configparser
import errno
import socket

import pytest

from orchestrator.errors import RequestError
from orchestrator.records.layout import Layout
from orchestrator.serving.command import (
    ADMIN_PASSWORD,
    CONFIG_PATH,
    Address,
    choose,
    is_own,
    needs_password,
    password_environment,
    server_command,
    server_environment,
)

PASSWORD = {ADMIN_PASSWORD: "correct horse"}
HERE = Address(host="127.0.0.1", port=5001)


def test_one_worker_and_no_password_on_the_command_line():
    layout = Layout.of("/data/runs", environ={"MLFLOW_TRACKING_URI": "postgresql://iwm:s3cret@db/mlflow"})
    command = " ".join(server_command(HERE, python="python"))
    assert command.startswith("python -m mlflow server --host 127.0.0.1 --port 5001 --workers 1 ")
    environment = server_environment(layout, environ={})
    assert environment["MLFLOW_BACKEND_STORE_URI"] == "postgresql://iwm:s3cret@db/mlflow"
    assert environment["MLFLOW_ARTIFACTS_DESTINATION"] == "file:///data/runs/mlartifacts"


def test_the_users_settings_win_but_for_those_of_clients():
    environ = {
        "MLFLOW_SQLALCHEMYSTORE_POOL_SIZE": "3",
        "MLFLOW_PORT": "1",
        "MLFLOW_TRACKING_URI": "http://elsewhere",
        "PATH": "/bin",
    }
    environment = server_environment(Layout.of("/data/runs", environ={}), environ=environ)
    assert environment["MLFLOW_SQLALCHEMYSTORE_POOL_SIZE"] == "3"
    assert environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
    assert environment["PATH"] == "/bin"
    assert not environment.keys() & {"MLFLOW_PORT", "MLFLOW_TRACKING_URI"}


@pytest.fixture
def taken():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_zero_is_a_free_port():
    found = choose("127.0.0.1", port=0)
    assert found.port > 1023
    assert found.url == f"http://127.0.0.1:{found.port}"
    assert choose("127.0.0.1", port=found.port) == found


def test_a_taken_port_is_named(taken):
    with pytest.raises(RequestError) as refused:
        choose("127.0.0.1", port=taken)
    assert (refused.value.setting, refused.value.value) == ("port", taken)
    assert isinstance(refused.value.__cause__, OSError)
    assert refused.value.__cause__.errno == errno.EADDRINUSE


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "login01"])
def test_what_others_reach_is_refused_with_a_tunnel_as_the_way_out(host):
    with pytest.raises(RequestError) as refused:
        needs_password(host, port=5000, pages_only=False, environ={})
    assert (refused.value.setting, refused.value.value) == ("host", host)
    assert f"ssh -N -L 5000:127.0.0.1:5000 {socket.gethostname()}" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert needs_password(host, port=5000, pages_only=False, environ=PASSWORD)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost", "::1"])
def test_what_only_this_machine_reaches(host):
    assert is_own(host)


def test_others_come_by_this_machines_name():
    found = choose("0.0.0.0", port=0)
    assert found.url == f"http://{socket.gethostname()}:{found.port}"


def test_a_browser_wants_brackets():
    assert Address(host="::1", port=80).url == "http://[::1]:80"


@pytest.mark.parametrize(("host", "environ"), [("0.0.0.0", {}), ("127.0.0.1", PASSWORD)])
def test_pages_beside_another_s_server_are_for_this_machine_and_have_no_password(host, environ):
    assert not needs_password("127.0.0.1", port=5000, pages_only=True, environ={})
    with pytest.raises(RequestError) as refused:
        needs_password(host, port=5000, pages_only=True, environ=environ)
    assert refused.value.setting == "MLFLOW_TRACKING_URI"


@pytest.mark.parametrize(
    ("environ", "asks"),
    [
        ({"PATH": "/bin", ADMIN_PASSWORD: ""}, False),
        (PASSWORD, True),
        ({CONFIG_PATH: "/etc/auth.ini"}, True),
    ],
)
def test_a_password_is_asked_for_if_one_is_set(environ, asks):
    assert needs_password("127.0.0.1", port=5000, pages_only=False, environ=environ) is asks


def test_users_are_kept_beside_the_other_databases(tmp_path):
    layout = Layout.of(tmp_path / "100 %", environ={})
    told = password_environment(layout, environ=PASSWORD)
    config = configparser.ConfigParser()
    config.read(told[CONFIG_PATH])
    assert config["mlflow"]["database_uri"] == f"sqlite:///{tmp_path}/100 %25/basic_auth.db"
    assert PASSWORD[ADMIN_PASSWORD] not in (layout.state / "basic_auth.ini").read_text()
    assert f"{socket.gethostname()}:*" in told["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")


def test_a_configuration_of_the_users_own_stays(tmp_path):
    layout = Layout.of(tmp_path, environ={})
    told = password_environment(layout, environ={CONFIG_PATH: "/etc/a.ini", "MLFLOW_SERVER_ALLOWED_HOSTS": "lab"})
    assert (told[CONFIG_PATH], told["MLFLOW_SERVER_ALLOWED_HOSTS"]) == ("/etc/a.ini", "lab")
    assert not (layout.state / "basic_auth.ini").exists()
