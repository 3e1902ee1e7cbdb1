"""What a trial's attempts leave for a reader: the end of their logs, the error in it, and pictures.

A progress line that was written over counts once, as it stood last.
"""

import contextlib
import re
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from orchestrator.records.layout import TrialFolder

KINDS = (".out", ".err")
NEWEST = 2
LINES = 60
TAIL_BYTES = 6_000
PICTURE = re.compile(r"[\w-][\w.-]*\.png")
ERROR_LINES = 3
ERROR_TAIL_BYTES = 8_192
ERROR = re.compile(r"[\w.]*(Error|Exception|Exit)\b|.* (ERROR|CRITICAL) ")
"""What a traceback or a log ends with, where something else comes after it."""
NOISE = re.compile(
    r"srun: |submitit |slurmstepd-\S+: error: \*\*\*|[\d-]+ [\d:,]+ (DEBUG|INFO) |[\^~]+$|because of "
    r"|.* ERROR (Submitted job triggered an exception|Could not dump error)"
)
"""What SLURM, submitit and we say of every job."""


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


def pictures(folder: TrialFolder) -> dict[str, Path]:
    """Name -> file, sorted. Links are not followed."""
    found = (file for file in plain_files(folder.pictures) if PICTURE.fullmatch(file.name))
    return {file.name: file for file in sorted(found)}


def error_summary(files: Iterable[Path]) -> str:
    """What a job said last, on one line: part of the reason of its end.

    The last lines of the last of these files that says anything, up to its last error; empty where none does.
    """
    said = [words for file in files if (words := _words(file))]
    if not said:
        return ""
    errors = [number for number, line in enumerate(said[-1]) if ERROR.match(line)]
    end = errors[-1] + 1 if errors else len(said[-1])
    return " | ".join(said[-1][max(0, end - ERROR_LINES) : end])


def _words(file: Path) -> list[str]:
    try:
        with file.open("rb") as stream:
            stream.seek(max(0, file.stat().st_size - ERROR_TAIL_BYTES))
            text = stream.read().decode(errors="replace")
    except OSError:
        return []
    lines = (line.strip() for line in text.splitlines())
    return list(dict.fromkeys(line for line in lines if line and not NOISE.match(line)))
