"""The verbs that look: exit codes, one JSON document, a table."""

import json

import pytest


@pytest.fixture(autouse=True)
def _no_slurm(tmp_path, monkeypatch):
    """No program is on the PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))


def test_doctor_without_slurm(iwm, tmp_path):
    code, out, err = iwm("doctor", "--json")
    told = json.loads(out)
    assert (code, told["verdict"]) == (0, "ok")
    assert [one["name"] for one in told["findings"] if one["subject"] == "SLURM"] == ["SLURM"]
    assert "checking packages" in err
    assert not list(tmp_path.iterdir())


def test_doctor_s_table(iwm):
    code, out, _ = iwm("doctor")
    assert code == 0
    assert "exclusive create" in out
    assert "not there" in out.splitlines()[-1]


def test_doctor_fails_where_something_failed(iwm, tmp_path):
    (tmp_path / "file").write_text("")
    code, out, _ = iwm("doctor", "--json", "--root", str(tmp_path / "file"))
    assert (code, json.loads(out)["verdict"]) == (1, "failed")


@pytest.mark.parametrize(
    ("words", "said"), [(("--steps", "3"), "--steps"), (("seed=1,2",), "seed"), (("predictor.dpeth=1",), "dpeth")]
)
def test_verify_resume_refuses_before_it_starts(iwm, words, said):
    code, out, err = iwm("verify-resume", *words)
    assert (code, out) == (2, "")
    assert said in err
    assert len(err.splitlines()) <= 2
