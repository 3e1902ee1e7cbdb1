"""Whether a password is asked for, and what MLflow's server is then told."""

import configparser
import socket

from orchestrator.records.layout import Layout
from orchestrator.serving.password import ADMIN_PASSWORD, CONFIG_PATH, is_asked_for, password_environment


def test_it_is_asked_for_where_one_is_set():
    assert not is_asked_for({"PATH": "/bin", ADMIN_PASSWORD: ""})
    assert is_asked_for({ADMIN_PASSWORD: "correct horse"})
    assert is_asked_for({CONFIG_PATH: "/etc/auth.ini"})


def test_users_are_kept_beside_the_other_databases(tmp_path):
    layout = Layout.of(tmp_path / "100 %", environ={})
    told = password_environment(layout, environ={ADMIN_PASSWORD: "correct horse"})
    config = configparser.ConfigParser()
    config.read(told[CONFIG_PATH])
    assert config["mlflow"]["database_uri"] == f"sqlite:///{tmp_path}/100 %25/basic_auth.db"
    assert "correct horse" not in (layout.state / "basic_auth.ini").read_text()
    assert f"{socket.gethostname()}:*" in told["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")


def test_a_configuration_of_the_users_own_stays(tmp_path):
    layout = Layout.of(tmp_path, environ={})
    told = password_environment(layout, environ={CONFIG_PATH: "/etc/a.ini", "MLFLOW_SERVER_ALLOWED_HOSTS": "lab"})
    assert (told[CONFIG_PATH], told["MLFLOW_SERVER_ALLOWED_HOSTS"]) == ("/etc/a.ini", "lab")
    assert not (layout.state / "basic_auth.ini").exists()
