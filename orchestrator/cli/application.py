"""The application that verbs register with: `opened` is how a verb begins, `respond` how it ends.

`main` turns errors into plain lines and exit codes.
"""

import contextlib
import errno
import os
import shlex
import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from iwm_core.errors import ConfigError, CoreError, DataError
from orchestrator.errors import IwmError, RequestError

if TYPE_CHECKING:
    from orchestrator.records.layout import Layout
    from orchestrator.store.database import Store

WORD_MAX = 100_000
"""Characters of one argument; Linux accepts at most 131,071 bytes."""
MESSAGE_MAX = 2_000


@contextlib.contextmanager
def opened(root: Path, *, quiet: bool = False) -> "Iterator[tuple[Layout, Store]]":
    """Open a root's layout and store, up to date with files, processes and jobs; `quiet` draws no progress bars."""
    from orchestrator import service
    from orchestrator.host import progress
    from orchestrator.records.layout import Layout

    layout = Layout.of(root)
    with progress.shown(json=quiet), service.observed(layout) as store:
        yield layout, store


def respond(document: Any, *shown: Any, json: bool) -> None:
    """Print one JSON document with --json, these tables and lines without."""
    from orchestrator.host import console

    if json:
        return console.print_json(document)
    for one in shown:
        if isinstance(one, str):
            typer.echo(one)  # as it is: a path may look like markup
        else:
            console.out().print(one)


def check(words: Iterable[str]) -> None:
    """Reject arguments that no verb accepts.

    Raises:
        RequestError: an argument is empty or has more than `WORD_MAX` characters.
    """
    for place, word in enumerate(words, start=1):
        if not word.strip():
            raise RequestError(f"argument {place} is empty")
        if word.startswith("--") and word.endswith("=") and word.count("=") == 1:
            raise RequestError(f"the option {word[:-1]} has no value")
        if len(word) > WORD_MAX:
            raise RequestError(f"argument {place} has {len(word):,} characters; the maximum is {WORD_MAX:,}")


def plain(text: str) -> str:
    """The message on one line: unprintable characters are escaped, a long message loses its middle."""
    line = " ".join(text.split("\n"))
    if len(line) > MESSAGE_MAX:
        line = f"{line[: MESSAGE_MAX // 2]} [...] {line[-MESSAGE_MAX // 2 :]}"
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in line)


def status_line(sweep: str, root: Path) -> str:
    """The command that shows a sweep's progress, ready to paste."""
    return f"watch: {shlex.join(['iwm', 'status', sweep, '--root', str(root)])}"


app = typer.Typer(
    name="iwm",
    help="Run ablations of image world models: submit and watch sweeps; interrupted runs resume by themselves.",
    add_completion=True,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"iwm {version('iwm-orchestrator')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Options of every verb; `main` reads --debug in any position."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The console command `iwm`: prints an error as one or two plain lines and exits with its code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words or bool(os.environ.get("IWM_DEBUG"))
    words = [word for word in words if word != "--debug"]
    try:
        check(words)
        sys.exit(app(words, standalone_mode=False) or 0)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (Exception, KeyboardInterrupt) as error:
        if debug:
            traceback.print_exc()
        message, code = explain(error)
        typer.echo(f"iwm: {plain(message)}", err=True)
        sys.exit(code)


def explain(error: BaseException) -> tuple[str, int]:
    """One or two plain lines for an error, and the exit code."""
    match error:
        case typer.Abort() | KeyboardInterrupt():
            return "interrupted", 130
        case typer.TyperException():
            return f"{error.format_message()} Try: iwm --help", error.exit_code
        case IwmError():
            return str(error), error.exit_code
        case CoreError():
            return str(error), 2 if isinstance(error, ConfigError | DataError) else 1
        case OSError(errno=errno.ENAMETOOLONG):
            return f"this file name is too long: '{error.filename}'", 2
    detail = " ".join(f"{type(error).__name__}: {error}".split())
    return f"unexpected {detail} (--debug shows the traceback)", 1
