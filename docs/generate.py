"""Writes `docs/cli.md` from the command line itself: `make docs`. A test compares."""

from pathlib import Path

from typer.main import get_command
from typer.testing import CliRunner

from orchestrator.cli import app

FILE = Path(__file__).with_name("cli.md")
HEAD = """# Command line

Generated from `iwm --help` by `make docs`.

Exit codes: 0 done, 1 the operation failed, 2 the request was invalid, 130 interrupted. Tables and JSON
go to standard output, progress and remarks to standard error. `--debug`, in any position, shows an error's traceback.

| variable | meaning |
|---|---|
| `IWM_ROOT` | the root, instead of `./runs` |
| `IWM_STATE` | folder of both SQLite databases, where the root is a network share |
| `IWM_DATABASE_URL` | the orchestrator's database: SQLite under the root, or `postgresql+psycopg://...` for teams |
| `MLFLOW_TRACKING_URI` | the MLflow server or database, SQLite under the root by default |
| `IWM_EXPERIMENT` | name of the MLflow experiment, `iwm` by default |
"""


def verbs() -> list[str]:
    """Every verb, in the order of the help; `cluster` and then `cluster up`, where a verb has verbs of its own."""
    found = []
    for name, command in get_command(app).commands.items():  # pyright: ignore[reportAttributeAccessIssue]
        found += [name, *(f"{name} {verb}" for verb in getattr(command, "commands", ()))]
    return found


def help_of(verb: str = "") -> str:
    """Return the output of `iwm VERB --help`, 80 columns wide."""
    result = CliRunner().invoke(app, [*verb.split(), "--help"], prog_name="iwm", env={"COLUMNS": "80"})
    assert result.exit_code == 0, result.output
    lines = (line.rstrip() for line in result.output.strip().splitlines())
    return "\n".join(lines)


def reference() -> str:
    """Return the whole page."""
    sections = [f"## iwm {verb}\n\n```text\n{help_of(verb)}\n```\n" for verb in verbs()]
    return "\n".join([HEAD, f"```text\n{help_of()}\n```\n", *sections])


if __name__ == "__main__":
    FILE.write_text(reference())
