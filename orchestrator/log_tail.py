"""The end of what a trial's attempts wrote. A progress line that was written over counts once, as it stood last."""

from pathlib import Path

from orchestrator.layout import TrialFolder

NEWEST = 2
LINES = 60
TAIL_BYTES = 6_000


def log_tails(folder: TrialFolder, *, files: int = NEWEST, lines: int = LINES) -> tuple[tuple[str, str], ...]:
    """(name, last lines) of the newest logs that are not empty, the newest first. Links are not followed."""
    found = [file for file in plain_files(folder.logs) if file.stat().st_size]
    newest = sorted(found, key=lambda file: file.stat().st_mtime_ns, reverse=True)[:files]
    return tuple((file.name, tail(file, lines=lines)) for file in newest)


def tail(file: Path, *, lines: int = LINES) -> str:
    """Its last lines."""
    with file.open("rb") as stream:
        stream.seek(max(0, file.stat().st_size - TAIL_BYTES))
        text = stream.read().decode(errors="replace")
    return "\n".join(line.rpartition("\r")[2] for line in text.rstrip("\n").split("\n")[-lines:])


def plain_files(folder: Path) -> list[Path]:
    """The files in a folder of a trial. A link could lead anywhere, so neither they nor the two folders may be one."""
    if folder.is_symlink() or folder.parent.is_symlink() or not folder.is_dir():
        return []
    return [file for file in folder.iterdir() if file.is_file() and not file.is_symlink()]
