"""The end of what a trial's attempts wrote. A progress line that was written over counts once, as it stood last."""

import contextlib
from itertools import islice
from pathlib import Path

from orchestrator.layout import TrialFolder

KINDS = (".out", ".err")
NEWEST = 2
LINES = 60
TAIL_BYTES = 6_000


def log_tails(folder: TrialFolder, *, files: int = NEWEST, lines: int = LINES) -> tuple[tuple[str, str], ...]:
    """(name, last lines) of the newest logs that are not empty, the newest first. Links are not followed.

    What cannot be read, or is gone meanwhile, is left out: it must not stop what else there is to say.
    """
    newest = sorted(log_files(folder), key=_age, reverse=True)
    told = ((file.name, _readable(file, lines=lines)) for file in newest)
    return tuple(islice((one for one in told if one[1]), files))


def _age(file: Path) -> int:
    with contextlib.suppress(OSError):
        return file.stat().st_mtime_ns
    return 0


def _readable(file: Path, *, lines: int) -> str:
    with contextlib.suppress(OSError):
        return tail(file, lines=lines)
    return ""


def log_files(folder: TrialFolder) -> list[Path]:
    """What a trial's attempts wrote for a reader; submitit keeps other things of its own beside it."""
    return [file for file in plain_files(folder.logs) if file.suffix in KINDS]


def tail(file: Path, *, lines: int = LINES) -> str:
    """Its last lines."""
    with file.open("rb") as stream:
        stream.seek(max(0, file.stat().st_size - TAIL_BYTES))
        text = stream.read().decode(errors="replace")
    return "\n".join(line.rpartition("\r")[2] for line in text.rstrip("\n").split("\n")[-lines:])


def plain_files(folder: Path) -> list[Path]:
    """The files in a folder of a trial. A link could lead anywhere, so neither they nor the two folders may be one."""
    with contextlib.suppress(OSError):
        if not folder.is_symlink() and not folder.parent.is_symlink() and folder.is_dir():
            return [file for file in folder.iterdir() if file.is_file() and not file.is_symlink()]
    return []
