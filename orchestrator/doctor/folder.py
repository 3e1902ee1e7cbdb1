"""What the root's file system can do, tried in a folder that is removed: claims and journals are built on this."""

import contextlib
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from orchestrator.doctor.finding import Finding, Verdict
from orchestrator.host.locks import Lock, is_held

SUBJECT = "root"
FSYNC_SLOW_MS = 50.0
SKEW_MAX_S = 2.0
FREE_MIN_GB, FREE_LOW_GB = 0.5, 20.0
ONE_MACHINE = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "tmpfs", "overlay", "zfs", "apfs"})
"""File systems that other machines usually do not see."""


def examine_folder(root: Path, *, shared: bool) -> list[Finding]:
    """The findings on this folder; `shared` says that nodes of a cluster must see it, too."""
    with scratch(root) as folder:
        if isinstance(folder, OSError):
            means = "choose another root with --root or IWM_ROOT"
            return [_line("folder", Verdict.FAILED, f"{root}: {folder.strerror or folder}", means)]
        return [
            _kind(root, shared=shared),
            _try("exclusive create", lambda: _exclusive(folder), need="two submitters could both start a trial"),
            _try("hard link", lambda: _link(folder), need="two submitters could both win a claim"),
            _try("rename", lambda: _rename(folder), need="a reader could see half a file"),
            _try("flock", lambda: _flock(folder), need="this machine's slots could be taken twice"),
            _fsync(folder),
            _clock(folder),
            _space(folder),
        ]


@contextlib.contextmanager
def scratch(root: Path) -> Iterator[Path | OSError]:
    """A folder under the root that is gone afterwards, as is a root that was not there before; or why there is none."""
    made = [path for path in (root, *root.parents) if not path.exists()]
    try:
        root.mkdir(parents=True, exist_ok=True)
        folder = tempfile.mkdtemp(prefix=".doctor-", dir=root)
    except OSError as error:
        yield error
        return
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        for path in made:
            with contextlib.suppress(OSError):
                path.rmdir()


def _line(name: str, verdict: Verdict, value: str, means: str) -> Finding:
    return Finding(subject=SUBJECT, name=name, verdict=verdict, value=value, means=means)


def _try(name: str, trial: Callable[[], str], *, need: str) -> Finding:
    """`trial` returns what went wrong, or nothing."""
    try:
        wrong = trial()
    except OSError as error:
        wrong = error.strerror or str(error)
    if wrong:
        return _line(name, Verdict.FAILED, wrong, f"{need}: put the root on another file system")
    return _line(name, Verdict.OK, "works", f"without it {need}")


def _exclusive(folder: Path) -> str:
    path = folder / "exclusive"
    path.touch(exist_ok=False)
    with contextlib.suppress(FileExistsError):
        path.touch(exist_ok=False)
        return "a file was created twice"
    return ""


def _link(folder: Path) -> str:
    for name in ("one", "two"):
        (folder / name).write_text(name)
    os.link(folder / "one", folder / "linked")
    with contextlib.suppress(FileExistsError):
        os.link(folder / "two", folder / "linked")
        return "a name that was taken was linked again"
    return "" if (folder / "linked").read_text() == "one" else "the link shows another file"


def _rename(folder: Path) -> str:
    (folder / "old").write_text("old")
    (folder / "new").write_text("new")
    (folder / "new").replace(folder / "old")
    return "" if (folder / "old").read_text() == "new" else "a renamed file shows its old content"


def _flock(folder: Path) -> str:
    lock = Lock(folder / "lock")
    try:
        if not lock.take(wait_s=0):
            return "a free lock was not to be had"
        return "" if is_held(folder / "lock") else "a lock that is held looks free"
    finally:
        lock.close()


def fsync_ms(folder: Path, *, times: int = 15) -> float:
    """The median of appending a line and making it durable."""
    took = []
    with (folder / "journal").open("ab", buffering=0) as file:
        for _ in range(times):
            start = time.perf_counter()
            file.write(b"x" * 200 + b"\n")
            os.fsync(file.fileno())
            took.append((time.perf_counter() - start) * 1000)
    return statistics.median(took)


def _fsync(folder: Path) -> Finding:
    median = fsync_ms(folder)
    if median <= FSYNC_SLOW_MS:
        return _line("fsync", Verdict.OK, f"{median:.1f} ms", "each log line of a trial costs this much")
    means = "each log line of a trial costs this much: raise train.log_every, or use a faster file system"
    return _line("fsync", Verdict.WARNING, f"{median:.0f} ms", means)


def _clock(folder: Path) -> Finding:
    before = time.time()
    path = folder / "clock"
    path.touch()
    skew = path.stat().st_mtime - (before + time.time()) / 2
    skew = 0.0 if abs(skew) < 0.1 else skew  # file times move in ticks
    if abs(skew) <= SKEW_MAX_S:
        return _line("clock", Verdict.OK, f"{skew:+.1f} s", "files and this host tell the same time")
    means = "times in tables and MLflow are off by this much, nothing else is: nothing here is ordered by a clock"
    return _line("clock", Verdict.WARNING, f"{skew:+.1f} s", means)


def _space(folder: Path) -> Finding:
    free, total = shutil.disk_usage(folder).free / 1e9, shutil.disk_usage(folder).total / 1e9
    value = f"{free:,.1f} GB free of {total:,.0f} GB"
    if free < FREE_MIN_GB:
        return _line("space", Verdict.FAILED, value, "no room for checkpoints: `iwm gc` says what it would free")
    if free < FREE_LOW_GB:
        means = "large models fill this soon: `iwm gc` trims checkpoints, resources.keep_checkpoints keeps fewer"
        return _line("space", Verdict.WARNING, value, means)
    return _line("space", Verdict.OK, value, "room for checkpoints; `iwm gc` makes more")


def _kind(root: Path, *, shared: bool) -> Finding:
    kind, value = file_system(root), f"{root}"
    value += f" ({kind})" if kind else ""
    if shared and kind in ONE_MACHINE:
        means = f"{kind} is usually one machine's own: make sure that every node sees this folder under this path"
        return _line("folder", Verdict.WARNING, value, means)
    return _line("folder", Verdict.OK, value, "trials, journals and checkpoints go here")


def file_system(path: Path, *, mounts: Path = Path("/proc/self/mountinfo")) -> str:
    """The type of the file system that holds a path, such as nfs4; empty where nobody knows."""
    try:
        lines = mounts.read_text().splitlines()
    except OSError:
        return ""
    best, kind = Path(), ""
    for line in lines:
        left, _, right = line.partition(" - ")
        point = Path(left.split()[4].replace("\\040", " "))
        if path.is_relative_to(point) and len(point.parts) >= len(best.parts):
            best, kind = point, right.split()[0]
    return kind
