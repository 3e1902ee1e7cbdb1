"""How MLflow's server is called."""

from orchestrator.records.layout import Layout
from orchestrator.serving.address import Address
from orchestrator.serving.command import server_command, server_environment

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
