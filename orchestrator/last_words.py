"""What a job said last, on one line: part of the reason of its end."""

import re
from collections.abc import Iterable
from pathlib import Path

LINES = 3
ERROR = re.compile(r"[\w.]*(Error|Exception|Exit)\b|.* (ERROR|CRITICAL) ")
"""What a traceback or a log ends with, where something else comes after it."""
TAIL_BYTES = 8192
NOISE = re.compile(
    r"srun: |submitit |slurmstepd-\S+: error: \*\*\*|[\d-]+ [\d:,]+ (DEBUG|INFO) |[\^~]+$|because of "
    r"|.* ERROR (Submitted job triggered an exception|Could not dump error)"
)
"""What SLURM, submitit and we say of every job."""


def last_words(files: Iterable[Path]) -> str:
    """The last lines of the last of these files that says anything, up to its last error; empty where none does."""
    said = [words for file in files if (words := _words(file))]
    if not said:
        return ""
    errors = [number for number, line in enumerate(said[-1]) if ERROR.match(line)]
    end = errors[-1] + 1 if errors else len(said[-1])
    return " | ".join(said[-1][max(0, end - LINES) : end])


def _words(file: Path) -> list[str]:
    try:
        with file.open("rb") as stream:
            stream.seek(max(0, file.stat().st_size - TAIL_BYTES))
            text = stream.read().decode(errors="replace")
    except OSError:
        return []
    lines = (line.strip() for line in text.splitlines())
    return list(dict.fromkeys(line for line in lines if line and not NOISE.match(line)))
