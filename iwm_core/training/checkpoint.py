"""Checkpoints that are complete or absent; reading takes the newest valid one.

A checkpoint is `step-00000100-a0000.pt` (step and attempt) and `step-00000100-a0000.pt.sha256`, one line that
`sha256sum -c` reads. It is saved in this order:

    write both under temporary names in the same folder, fsync them
    rename the digest, fsync the folder           killed here: a digest of nothing, ignored and later removed
    rename the checkpoint, fsync the folder       from here on it exists, and always with its digest
    remove what is older than the last `keep`

so after a kill at any point a `.pt` with a matching digest is complete. Any other file is torn or damaged: it is
reported, and the checkpoint before it is used. A folder has one living writer per attempt. An attempt removes leftovers
of itself and of older attempts, never of newer ones. `trusted` excludes what an older attempt wrote after a newer one
had started, since shared file systems have no compare-and-swap.
"""

import hashlib
import os
import pickle
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

import torch

from iwm_core.errors import CheckpointError

_NAME = re.compile(r"step-(\d+)-a(\d+)\.pt")


class Newest(NamedTuple):
    """The newest usable checkpoint (if none: `payload` None, `step` 0) and a sentence per unusable one."""

    payload: dict[str, Any] | None
    step: int
    skipped: list[str]


class CheckpointFolder:
    """The checkpoints of one trial, as seen and written by one attempt."""

    def __init__(
        self,
        path: Path | str,
        *,
        attempt: int = 0,
        keep: int = 2,
        trusted: Callable[[int, int], bool] = lambda step, attempt: True,
    ) -> None:
        """`trusted(step, attempt)` returns False for a checkpoint that a superseded attempt wrote; it is not read."""
        self.path = Path(path)
        self._attempt = attempt
        self._keep = max(1, keep)
        self._trusted = trusted
        self._unusable: set[str] = set()

    def save(self, payload: Mapping[str, Any], *, step: int) -> str:
        """Write the checkpoint of `step` and return its SHA-256.

        Raises:
            CheckpointError: it cannot be written; earlier checkpoints are untouched.
        """
        file = self.path / f"step-{step:08d}-a{self._attempt:04d}.pt"
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._remove_leftovers()
            sha256 = _publish(payload, file=file)
            self._remove_old(step)
        except OSError as error:
            raise CheckpointError(
                f"cannot write the checkpoint of step {step} to {self.path}: {error.strerror}. "
                "The checkpoints before it are untouched; make room or choose another root, then resume.",
                path=self.path,
            ) from error
        return sha256

    def newest(self) -> Newest:
        """Loads the newest checkpoint that is trusted and whole, onto the CPU.

        Raises:
            CheckpointError: a whole one cannot be read at this moment (no memory, a share that does not answer).
        """
        skipped: list[str] = []
        for entry in _entries(self.path):
            try:
                why = self._flaw(entry)
                if not why:
                    return Newest(torch.load(entry.path, map_location="cpu", weights_only=True), entry.step, skipped)
            except pickle.UnpicklingError:
                why = "it is intact, but contains objects other than tensors and numbers"
            except (OSError, RuntimeError, EOFError) as error:
                raise CheckpointError(
                    f"{entry.path} cannot be read now, and resuming from an older checkpoint would lose steps: {error}",
                    path=entry.path,
                ) from error
            self._unusable.add(entry.path.name)
            skipped.append(f"{entry.path.name} was skipped: {why}")
        return Newest(None, 0, skipped)

    def _flaw(self, entry: "_Entry") -> str:
        """Return why this checkpoint is unusable; empty if it is valid."""
        if not self._trusted(entry.step, entry.attempt):
            return f"attempt {entry.attempt} wrote it after a newer attempt had started"
        digest = _digest_of(entry.path)
        if not digest.exists():
            return "its checksum file is missing"
        with entry.path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if digest.read_text().split()[:1] != [found]:
            return f"it is damaged ({entry.path.stat().st_size} bytes, checksum does not match)"
        return ""

    def _remove_leftovers(self) -> None:
        """Temporary files, and digests of nothing, that this attempt or an older one left behind."""
        for path in self.path.glob("step-*"):
            checkpoint = _NAME.match(path.name)
            whole = path.suffix == ".pt" or (path.suffix == ".sha256" and path.with_suffix("").exists())
            if checkpoint and not whole and int(checkpoint[2]) <= self._attempt:
                path.unlink(missing_ok=True)

    def _remove_old(self, step: int) -> None:
        """All but the last `keep` up to `step`, and those that `newest` found unusable."""
        mine = [entry for entry in _entries(self.path) if entry.attempt <= self._attempt and entry.step <= step]
        usable = [entry for entry in mine if entry.path.name not in self._unusable]
        for entry in mine:
            if entry not in usable[: self._keep]:
                entry.path.unlink(missing_ok=True)
                _digest_of(entry.path).unlink(missing_ok=True)


@dataclass(frozen=True, order=True)
class _Entry:
    step: int
    attempt: int
    path: Path


def _entries(folder: Path) -> list[_Entry]:
    """The checkpoints in `folder`, newest first; of equal steps, that of the later attempt first."""
    named = [(path, _NAME.fullmatch(path.name)) for path in folder.glob("step-*.pt")]
    return sorted((_Entry(int(name[1]), int(name[2]), path) for path, name in named if name), reverse=True)


def _digest_of(checkpoint: Path) -> Path:
    return checkpoint.with_name(checkpoint.name + ".sha256")


def _publish(payload: Mapping[str, Any], *, file: Path) -> str:
    """Writes checkpoint and digest in the order of this module's docstring."""
    digest = _digest_of(file)
    temporary = {path: path.with_name(path.name + ".tmp") for path in (file, digest)}
    try:
        with temporary[file].open("wb") as stream:
            sha256 = _serialise(payload, stream=stream)
            _sync(stream)
        with temporary[digest].open("wb") as stream:
            stream.write(f"{sha256}  {file.name}\n".encode())
            _sync(stream)
        for path in (digest, file):
            temporary[path].rename(path)
            _sync_folder(file.parent)
    finally:
        for path in temporary.values():
            path.unlink(missing_ok=True)
    return sha256


def _serialise(payload: Mapping[str, Any], *, stream: IO[bytes]) -> str:
    """Writes the payload and returns its SHA-256."""
    hashed = _Hashed(stream)
    try:
        torch.save(dict(payload), hashed)  # pyright: ignore[reportArgumentType]
    except RuntimeError as error:
        if isinstance(error.__context__, OSError):  # what the disk said is hidden behind what torch's writer says
            raise error.__context__ from error
        raise
    return hashed.sha256.hexdigest()


class _Hashed:
    """A stream that digests what passes, so that a checkpoint is never held in memory a second time."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.sha256 = hashlib.sha256()
        self._stream = stream

    def write(self, data: bytes) -> int:
        self.sha256.update(data)
        return self._stream.write(data)

    def flush(self) -> None:
        self._stream.flush()


def _sync(stream: IO[bytes]) -> None:
    stream.flush()
    os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
