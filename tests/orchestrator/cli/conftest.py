"""The command, run in this process."""

import pytest

from orchestrator import cli

VARIABLES = ("IWM_ROOT", "IWM_STATE", "IWM_DATABASE_URL", "IWM_LAUNCHER", "MLFLOW_TRACKING_URI", "IWM_DEBUG")


@pytest.fixture
def iwm(tmp_path, monkeypatch, capsys):
    """Runs a verb in an empty folder, with no variables of ours set; returns (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)

    def run(*words):
        with pytest.raises(SystemExit) as ended:
            cli.main(words)
        out, err = capsys.readouterr()
        return ended.value.code, out, err

    return run
