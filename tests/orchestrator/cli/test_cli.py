"""Wrong requests end in one or two plain lines and exit code 2; JSON is one document."""

import json
import os
import shlex
import sqlite3
from importlib.metadata import version

import pytest

from dashboards.report.content import FORMATS
from orchestrator.cli import application
from orchestrator.planning.catalogue import PACKAGED, Catalogue
from orchestrator.trial.launchers import LAUNCHERS

CONDITIONINGS = Catalogue((PACKAGED,)).groups["conditioning"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("plan", "demmo"), ["unknown sweep 'demmo'", "demo"]),
        (("plan", "demo", "predictor.dpeth=3"), ["predictor.dpeth", "depth"]),
        (("plan", "demo", "conditioning=film"), ["film", *CONDITIONINGS]),
        (("plan", "demo", "predictor.depth="), ["predictor.depth"]),
        (("plan", "demo", "predictor.depth=deep"), ["predictor.depth", "whole number"]),
        (("plan", "demo", "train.steps=0"), ["train.steps", "at least 1"]),
        (("plan", "demo", "data.image_size=33"), ["33", "patch_size"]),
        (("plan", "demo", "masks.target_ratio=0.9"), ["target_ratio"]),
        (("plan", "demo", "data=imagefolder"), ["data.dataset"]),
        (("plan", "demo", "garbage"), ["garbage"]),
        (("submit", "demo", "--launcher", "slrum"), ["slrum", *LAUNCHERS]),
        (("train", "seed=1,2"), ["seed"]),
        (("report", "demo"), ["no sweep 'demo'", "none yet"]),
        (("report", "demo", "--format", "docx"), ["docx", *FORMATS]),
        (("logs", "../../etc/passwd"), ["no sweep or trial"]),
        (("nonsense",), ["No such command 'nonsense'"]),
        (("plan",), ["SWEEP"]),
        (("plan", "demo", "--colour"), ["--colour"]),
        (("demo", "--steps", "0"), ["--steps", "1"]),
    ],
)
def test_a_wrong_request_is_answered_plainly(iwm, words, said):
    code, out, err = iwm(*words)
    assert (code, out) == (2, "")
    assert all(word in err for word in said), err
    assert err.startswith("iwm: ")
    assert len(err.splitlines()) <= 2, err


def test_the_version_is_that_of_the_package(iwm):
    code, out, _ = iwm("--version")
    assert (code, out) == (0, f"iwm {version('iwm-orchestrator')}\n")


def test_sweeps_are_listed_with_what_they_ask(iwm):
    code, out, err = iwm("sweeps")
    assert (code, err) == (0, "")
    assert any(line.startswith("demo ") and "augmentation" in line for line in out.splitlines()), out
    described = json.loads(iwm("sweeps", "--json")[1])
    assert {"demo", "tiny_tables", "paper_tables"} <= described.keys()
    assert all(described.values())


def test_plan_in_json_writes_nothing(iwm, tmp_path):
    code, out, err = iwm("plan", "demo", "--json")
    told = json.loads(out)
    assert (code, err, told["counts"]) == (0, "", {"submit": 12, "resume": 0, "reuse": 0, "skip": 0})
    assert told["sweep"] == "demo"
    assert set(told["trials"][0]) == {"id", "overrides", "action"}
    assert not list(tmp_path.iterdir())


def test_status_of_an_empty_root(iwm):
    assert json.loads(iwm("status", "--json")[1]) == {"sweeps": []}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_root_without_write_permission(iwm, tmp_path):
    (tmp_path / "mine").mkdir(mode=0o500)
    code, _, err = iwm("submit", "demo", "--root", str(tmp_path / "mine"))
    assert code == 2
    assert "cannot" in err


def test_a_root_that_is_a_file(iwm, tmp_path):
    (tmp_path / "file").write_text("")
    for verb in (("status",), ("submit", "demo"), ("train",)):
        code, _, err = iwm(*verb, "--root", str(tmp_path / "file"))
        assert code == 2
        assert str(tmp_path / "file") in err
        assert len(err.splitlines()) == 1


def test_a_database_of_a_newer_version(iwm, tmp_path):
    assert iwm("status")[0] == 0
    with sqlite3.connect(tmp_path / "runs" / "orchestrator.db") as database:
        database.execute("UPDATE iwm_schema SET version = 9999")
    database.close()
    code, _, err = iwm("status")
    assert code == 2
    assert "9999" in err
    assert len(err.splitlines()) <= 2


def test_no_message_shows_a_password(iwm, monkeypatch):
    monkeypatch.setenv("IWM_DATABASE_URL", "postgresql+psycopg://me:hunter2@127.0.0.1:9/iwm")
    code, out, err = iwm("status")
    assert code == 2
    assert "hunter2" not in out + err


def test_an_unreachable_mlflow_is_a_warning(iwm, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:hunter2@127.0.0.1:9")
    code, _, err = iwm("sync")
    assert code == 0
    assert err.startswith("warning: ")
    assert "hunter2" not in err


def test_debug_shows_the_traceback(iwm):
    assert "Traceback" in iwm("plan", "demmo", "--debug")[2]
    assert "Traceback" not in iwm("plan", "demmo")[2]


def test_an_unexpected_error_is_one_line(iwm, monkeypatch):
    monkeypatch.setattr(application, "app", lambda words, **options: 1 / 0)
    code, _, err = iwm("status")
    assert code == 1
    assert err == "iwm: unexpected ZeroDivisionError: division by zero (--debug shows the traceback)\n"


def test_a_printed_command_can_be_pasted(tmp_path):
    _, _, command = application.status_line("my sweep", tmp_path / "my runs").partition(" ")
    assert shlex.split(command) == ["iwm", "status", "my sweep", "--root", str(tmp_path / "my runs")]
