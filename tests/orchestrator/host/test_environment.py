import contextlib
import os

from orchestrator.host import environment


def test_variables_are_as_they_were_afterwards_whatever_happens(monkeypatch):
    monkeypatch.setenv("IWM_ONE", "before")
    monkeypatch.delenv("IWM_TWO", raising=False)
    with contextlib.suppress(KeyError), environment.changed({"IWM_ONE": "inside", "IWM_TWO": "new"}):
        assert (os.environ["IWM_ONE"], os.environ["IWM_TWO"]) == ("inside", "new")
        raise KeyError
    assert os.environ["IWM_ONE"] == "before"
    assert "IWM_TWO" not in os.environ


def test_a_variable_is_removed_for_a_block(monkeypatch):
    monkeypatch.setenv("IWM_THERE", "1")
    monkeypatch.delenv("IWM_ABSENT", raising=False)
    with environment.changed({"IWM_THERE": None, "IWM_ABSENT": None}):
        assert not {"IWM_THERE", "IWM_ABSENT"} & os.environ.keys()
    assert (os.environ.get("IWM_THERE"), os.environ.get("IWM_ABSENT")) == ("1", None)
