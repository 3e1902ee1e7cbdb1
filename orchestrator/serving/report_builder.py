"""Makes the report of one sweep at a time, in a process of its own: its memory goes with it, and nobody waits."""

import contextlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO

from orchestrator.errors import IwmError
from orchestrator.records.layout import Layout


class ReportError(IwmError):
    """A report could not be made."""


@dataclass(frozen=True)
class Making:
    """A report in the making; `archive` and `words` are files without a name, so that nothing is ever left behind."""

    sweep_id: str
    child: "subprocess.Popen[bytes]"
    archive: IO[bytes]
    words: IO[bytes]


class ReportBuilder:
    """One root's builder."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._making: Making | None = None

    @property
    def sweep_id(self) -> str:
        """The sweep whose report is being made; empty for none."""
        return self._making.sweep_id if self._making else ""

    def begin(self, sweep_id: str) -> None:
        """Starts making a report, in place of one that was not taken."""
        self.close()
        archive, words = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115
        command = [sys.executable, "-m", "dashboards", str(self._layout.root), sweep_id]
        environ = {**os.environ, "IWM_STATE": str(self._layout.state), "IWM_DATABASE_URL": self._layout.database_url}
        child = subprocess.Popen(command, env=environ, stdin=subprocess.DEVNULL, stdout=archive, stderr=words)
        self._making = Making(sweep_id, child, archive, words)

    def take(self) -> Mapping[str, bytes] | None:
        """The files, once they are made; None before that.

        Raises:
            ReportError: they could not be made.
        """
        if self._making is None or self._making.child.poll() is None:
            return None
        try:
            return _files(self._making)
        finally:
            self.close()

    def close(self) -> None:
        """Leaves what is in the making."""
        if making := self._making:
            with contextlib.closing(making.archive), contextlib.closing(making.words):
                making.child.kill()
                making.child.wait()
        self._making = None


def _files(making: Making) -> Mapping[str, bytes]:
    if making.child.returncode:
        making.words.seek(0)
        last = making.words.read().decode(errors="replace").strip().rpartition("\n")[2]
        raise ReportError(f"the report of sweep '{making.sweep_id}' could not be made: {last or 'it was killed'}")
    with zipfile.ZipFile(making.archive) as archive:
        return {name: archive.read(name) for name in archive.namelist()}
