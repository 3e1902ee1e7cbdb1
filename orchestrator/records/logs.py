"""Logs and pictures of a trial's attempts: the ends of logs, and the error in them."""

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
"""The last line of a traceback, or an error in a log."""
NOISE = re.compile(
    r"srun: |submitit |slurmstepd-\S+: error: \*\*\*|[\d-]+ [\d:,]+ (DEBUG|INFO) |[\^~]+$|because of "
    r"|.* ERROR (Submitted job triggered an exception|Could not dump error)"
)
"""Lines of SLURM, submitit and this program that every job has."""


def log_tails(folder: TrialFolder, *, files: int = NEWEST, lines: int = LINES) -> tuple[tuple[str, str], ...]:
    """(name, last lines) of the newest logs that are not empty, the newest first. Does not follow links.

    Skips files that cannot be read or have disappeared.
    """
    newest = sorted(log_files(folder), key=_age, reverse=True)
    tails = ((file.name, _tail(file, lines)) for file in newest)
    return tuple(islice((tail for tail in tails if tail[1]), files))


def _age(file: Path) -> int:
    with contextlib.suppress(OSError):
        return file.stat().st_mtime_ns
    return 0


def _tail(file: Path, lines: int) -> str:
    """The last lines; of a progress line that was overwritten, its last state."""
    text = _last_text(file, TAIL_BYTES).rstrip("\n")
    return "\n".join(line.rpartition("\r")[2] for line in text.split("\n")[-lines:])


def _last_text(file: Path, size: int) -> str:
    """The last `size` bytes as text; empty if the file cannot be read."""
    with contextlib.suppress(OSError), file.open("rb") as stream:
        stream.seek(max(0, file.stat().st_size - size))
        return stream.read().decode(errors="replace")
    return ""


def log_files(folder: TrialFolder) -> list[Path]:
    """The output of a trial's attempts, without submitit's own files beside it."""
    return [file for file in plain_files(folder.logs) if file.suffix in KINDS]


def plain_files(folder: Path) -> list[Path]:
    """The files in a folder of a trial. Links, which may lead anywhere, are skipped, the two folders included."""
    with contextlib.suppress(OSError):
        if not folder.is_symlink() and not folder.parent.is_symlink() and folder.is_dir():
            return [file for file in folder.iterdir() if file.is_file() and not file.is_symlink()]
    return []


def pictures(folder: TrialFolder) -> dict[str, Path]:
    """Name -> file, sorted. Does not follow links."""
    found = (file for file in plain_files(folder.pictures) if PICTURE.fullmatch(file.name))
    return {file.name: file for file in sorted(found)}


def error_summary(files: Iterable[Path]) -> str:
    """A job's last error on one line: part of the reason of its end.

    The last lines, up to the last error, of the last of these files with any; empty if there is none.
    """
    texts = [lines for file in files if (lines := _meaningful_lines(file))]
    if not texts:
        return ""
    lines = texts[-1]
    errors = [number for number, line in enumerate(lines) if ERROR.match(line)]
    end = errors[-1] + 1 if errors else len(lines)
    return " | ".join(lines[max(0, end - ERROR_LINES) : end])


def _meaningful_lines(file: Path) -> list[str]:
    lines = (line.strip() for line in _last_text(file, ERROR_TAIL_BYTES).splitlines())
    return list(dict.fromkeys(line for line in lines if line and not NOISE.match(line)))
