"""Rows of a benchmark in a file, each written when it is measured: a run that is cut keeps what it has."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any


class Rows:
    """Appends the rows of one part to a file of JSON lines; without a file it does nothing."""

    def __init__(self, part: str, file: Path | None) -> None:
        self._part, self._file = part, file

    def add(self, row: Any) -> None:
        """Appends a dataclass instance and returns when the line is on disk."""
        if self._file is None:
            return
        with self._file.open("a") as stream:
            stream.write(json.dumps({"part": self._part, **asdict(row)}) + "\n")
            stream.flush()
            os.fsync(stream.fileno())


def read(file: Path) -> list[dict[str, Any]]:
    """Every whole line of the file, in order; a torn last line is left out."""
    text = file.read_text() if file.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
