"""The application that verbs register with, and `main`, which turns an error into plain lines and an exit code."""

import errno
import os
import sys
import traceback
from collections.abc import Iterable, Sequence
from typing import Annotated

import typer

from iwm_core.errors import ConfigError, CoreError, DataError
from orchestrator.errors import IwmError, RequestError

WORD_MAX = 100_000
"""Characters of one argument; Linux itself takes no more than 131,071 bytes."""
MESSAGE_MAX = 2_000


def check(words: Iterable[str]) -> None:
    """Refuses what no verb has a use for, before any verb sees it.

    Raises:
        RequestError: an argument that is empty, or longer than anybody types.
    """
    for place, word in enumerate(words, start=1):
        if not word.strip():
            raise RequestError(f"argument {place} is empty")
        if word.startswith("--") and word.endswith("=") and word.count("=") == 1:
            raise RequestError(f"the option {word[:-1]} has no value")
        if len(word) > WORD_MAX:
            raise RequestError(f"argument {place} has {len(word):,} characters; at most {WORD_MAX:,} are read")


def plain(text: str) -> str:
    """A message on one line; what is not printable as an escape, of a long one the beginning and the end."""
    line = " ".join(text.split("\n"))
    if len(line) > MESSAGE_MAX:
        line = f"{line[: MESSAGE_MAX // 2]} [...] {line[-MESSAGE_MAX // 2 :]}"
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in line)


app = typer.Typer(
    name="iwm",
    help="Ablations of image world models: submit sweeps, watch them; interrupted runs resume by themselves.",
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
    """Options of every verb; `main` reads --debug wherever it stands."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The console command `iwm`: turns what went wrong into plain lines and an exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words or bool(os.environ.get("IWM_DEBUG"))
    sys.exit(_run([word for word in words if word != "--debug"], debug=debug))


def _run(words: list[str], *, debug: bool) -> int:
    try:
        check(words)
        return app(words, standalone_mode=False) or 0
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (Exception, KeyboardInterrupt) as error:
        if debug:
            traceback.print_exc()
        message, code = explain(error)
        typer.echo(f"iwm: {plain(message)}", err=True)
        return code


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
            return f"the name of a file is too long: '{error.filename}'", 2
    detail = " ".join(f"{type(error).__name__}: {error}".split())
    return f"unexpected {detail} (--debug shows the traceback)", 1
