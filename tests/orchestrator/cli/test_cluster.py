"""Wrong requests to `iwm cluster` end in one plain line and exit code 2, before anything is started."""

import pytest

from orchestrator.cli.machine import default_directory


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    """Where the default cluster would be."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("down",), "no cluster in "),
        (("status",), "iwm cluster up"),
        (("env",), "no cluster in "),
        (("crash", "n1"), "no cluster in "),
        (("start", "n1"), "no cluster in "),
        (("crash",), "Missing argument 'NAME'"),
        (("up", "--dir", "/tmp/" + "a" * 80), "85 characters is too long"),
        (("up", "--dir", "/tmp/my lab"), "letters, digits"),
        (("up", "--gpus", "9"), "between 0 and 6, not 9"),
        (("up", "--requeue-delay", "2"), "between 5 and 3600, not 2"),
        (("up", "--set", "KillWait"), "KEY=VALUE"),
        (("explode",), "No such command 'explode'"),
    ],
)
def test_a_wrong_request_is_answered_plainly(iwm, words, said):
    code, out, err = iwm("cluster", *words)
    assert (code, out) == (2, "")
    assert said in err
    assert err.startswith("iwm: ")
    assert len(err.splitlines()) == 1


def test_the_directory_is_the_user_s_own_and_short(monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", "/tmp")
    assert str(default_directory()).startswith("/tmp/iwm-cluster-")
