"""How MLflow's server is called."""

import socket

import pytest

from orchestrator.errors import RequestError
from orchestrator.records.layout import Layout
from orchestrator.serving.command import Address, check_alone, choose, is_own, server_command, server_environment

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
    with pytest.raises(RequestError, match=f"port {taken} of 127.0.0.1 is taken; choose another"):
        choose("127.0.0.1", port=taken)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "login01"])
def test_what_others_reach_is_refused_with_a_way_out(host):
    with pytest.raises(RequestError, match=r"needs a password .* ssh -N -L 5000:127.0.0.1:5000") as told:
        choose(host, port=5000)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost", "::1"])
def test_what_only_this_machine_reaches(host):
    assert is_own(host)


def test_with_a_password_others_may_come_by_this_machines_name():
    found = choose("0.0.0.0", port=0, has_password=True)
    assert found.url == f"http://{socket.gethostname()}:{found.port}"


def test_a_browser_wants_brackets():
    assert Address(host="::1", port=80).url == "http://[::1]:80"


@pytest.mark.parametrize(("host", "wanted"), [("0.0.0.0", False), ("127.0.0.1", True)])
def test_pages_beside_another_s_server_are_for_this_machine_and_have_no_password(host, wanted):
    check_alone("127.0.0.1", port=5000, wants_password=False)
    with pytest.raises(RequestError, match=r"have no password: .*ssh -N -L 5000:127\.0\.0\.1:5000"):
        check_alone(host, port=5000, wants_password=wanted)
