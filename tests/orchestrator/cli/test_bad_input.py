"""Any word after a verb is answered in one line and reaches no file outside the root.

Goes through every verb, argument and option that the application has, so a new verb is tested by being there. Options
that take a path are a person's own choice of a place; of those only what cannot be a path is tried.
"""

import sys
from collections.abc import Iterator

import pytest
from typer.main import get_command

from orchestrator import cli
from tests.orchestrator.cli.conftest import VARIABLES

WORDS = (
    "'\"`$(reboot)",
    "<script>alert(1)</script>",
    "../../canary",
    "../canary/secret",
    "a\nb",
    "\u202e\x1b[31m%s{0}",
    "9" * 40,
    "-1",
)
NO_PATH = ("", "x" * 29_000)
HUGE = "x" * 10_000_000
READ: list[str] = []
"""What was opened, by an audit hook."""


def parameters() -> Iterator[tuple[tuple[str, ...], str]]:
    """Every verb with the name of each of its parameters."""

    def inside(command, path):
        for name, verb in getattr(command, "commands", {}).items():
            yield from inside(verb, (*path, name))
        if not hasattr(command, "commands"):
            yield from ((path, found.name) for found in command.params if takes_a_value(found))

    yield from inside(get_command(cli.app), ())


def takes_a_value(parameter) -> bool:
    return parameter.param_type_name == "argument" or not parameter.is_flag


def typed(path, name, word):
    """The words of a verb with `word` for this parameter, and something plain where another one is needed."""
    verb = get_command(cli.app)
    for step in path:
        verb = verb.commands[step]  # type: ignore[attr-defined]
    options, arguments = [], []
    for found in verb.params:
        if found.param_type_name == "argument" and (found.name == name or found.required):
            arguments.append(word if found.name == name else "demo")
        elif found.name == name:
            options.append(f"{found.opts[0]}={word}")
    return (*path, *options, "--", *arguments), next(found for found in verb.params if found.name == name)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working directory beside files that must not be touched."""
    (tmp_path / "canary").mkdir()
    (tmp_path / "canary" / "secret").write_text("do not read")
    (tmp_path / "here" / "tmp").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "here" / "tmp"))  # where a throwaway cluster would be
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def watch(event, details):
    if event == "open" and isinstance(details[0], str) and "canary" in details[0]:
        READ.append(details[0])


sys.addaudithook(watch)


CASES = [pytest.param(path, name, id="-".join((*path, name))) for path, name in parameters()]


@pytest.mark.parametrize(("path", "name"), CASES)
def test_it_is_one_line_and_exit_code_2(path, name, place, capsys):
    READ.clear()
    _, parameter = typed(path, name, "x")
    words = (*WORDS, str(place / "canary" / "secret"), "")
    for word in NO_PATH if parameter.type_descriptor.is_path else words:  # pyright: ignore[reportAttributeAccessIssue]
        with pytest.raises(SystemExit) as ended:
            cli.main(typed(path, name, word)[0])
        out, err = capsys.readouterr()
        assert (ended.value.code, out) == (2, ""), (word[:40], err)
        assert err.startswith("iwm: ")
        assert len(err.splitlines()) == 1, (word[:40], err)
        assert len(err) < 3_000
        assert "unexpected" not in err
        assert err.strip().isprintable()
    assert not READ
    assert [file.name for file in place.rglob("*") if "here" not in file.parts] == ["canary", "secret"]


@pytest.mark.parametrize("path", dict.fromkeys(path for path, _ in parameters()), ids="-".join)
def test_ten_megabytes_are_refused_in_a_line(path, place, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main([*path, HUGE])
    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (2, "")
    assert "10,000,000 characters" in err
    assert len(err) < 200
