"""Check this machine: Python and its packages, the root's file system, the database and MLflow.

A child process imports torch, so that a broken one costs this process neither memory nor a crash. The file system,
which claims and journals rely on, is tried in a folder that is removed. MLflow is asked over HTTP: importing it takes
seconds.
"""

import contextlib
import json
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib import metadata
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit
from urllib.request import ProxyHandler, build_opener, getproxies

from orchestrator.doctor.finding import Finding, Verdict
from orchestrator.errors import DatabaseError
from orchestrator.host.locks import Lock, is_held
from orchestrator.host.redact import redact, shown
from orchestrator.records.layout import Layout, sqlite_url
from orchestrator.store.database import Store
from orchestrator.tracking.links import is_server, ui_url

LIBRARIES = {
    "iwm-orchestrator": "each attempt records this version",
    "submitit": "starts the workers",
    "mlflow": "stores runs, metrics and reports",
}
TORCH_S = 120
_ASK_TORCH = """
import json, torch
found = [torch.cuda.get_device_name(device) for device in range(torch.cuda.device_count())]
print(json.dumps({"version": torch.__version__, "devices": found}))
"""
FSYNC_SLOW_MS = 50.0
SKEW_MAX_S = 2.0
FREE_MIN_GB, FREE_LOW_GB = 0.5, 20.0
ONE_MACHINE = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "tmpfs", "overlay", "zfs", "apfs"})
"""File systems that other machines usually do not see."""
NETWORK = frozenset({"nfs", "nfs4", "lustre", "gpfs", "beegfs", "cifs", "smb3", "ceph", "fuse.ceph"})
TIMEOUT_S = 5.0

_package, _root, _service = (partial(Finding, subject) for subject in ("packages", "root", "services"))


def examine_packages(python: str = sys.executable) -> list[Finding]:
    """The findings on this interpreter and its packages."""
    means = f"workers run {python}: it must be at this path on every node"
    found = [_package("python", Verdict.OK, platform.python_version(), means), *_torch(python)]
    for name, use in LIBRARIES.items():
        try:
            found.append(_package(name, Verdict.OK, metadata.version(name), use))
        except metadata.PackageNotFoundError:
            means = "required: pip install iwm-orchestrator"
            found.append(_package(name, Verdict.FAILED, "not installed", means))
    return found


def _torch(python: str) -> list[Finding]:
    """torch's version, and the devices that it sees on this host."""
    try:
        done = subprocess.run([python, "-c", _ASK_TORCH], capture_output=True, text=True, timeout=TORCH_S, check=False)
        error = (done.stderr.strip().splitlines() or ["no output"])[-1] if done.returncode else ""
        told = json.loads(done.stdout.splitlines()[-1]) if not error else {}
    except OSError as missing:
        told, error = {}, str(missing)
    except subprocess.TimeoutExpired:
        told, error = {}, f"importing torch took longer than {TORCH_S} s"
    if error:
        means = "no trial can train here: reinstall torch for this interpreter"
        return [_package("torch", Verdict.FAILED, error, means)]
    means = "part of every attempt's fingerprint: bit-identity is guaranteed for equal versions only"
    names = told["devices"]
    devices = ", ".join(f"{names.count(name)} x {name}" for name in dict.fromkeys(names))
    return [
        _package("torch", Verdict.OK, told["version"], means),
        _package("CUDA devices", Verdict.OK, devices, "the local launcher assigns these to its slots")
        if names
        else _package(
            "CUDA devices",
            Verdict.NOT_THERE,
            "none here",
            "trials on this host train on the CPU; the nodes of a partition may have GPUs of their own",
        ),
    ]


def examine_folder(root: Path, *, shared: bool) -> list[Finding]:
    """The findings on this folder; with `shared`, the nodes of a cluster must see it too."""
    with scratch(root) as folder:
        if isinstance(folder, OSError):
            means = "choose another root with --root or IWM_ROOT"
            return [_root("folder", Verdict.FAILED, f"{root}: {folder.strerror or folder}", means)]
        return [
            _kind(root, shared=shared),
            *(_try(name, partial(probe, folder), need=need) for name, (probe, need) in PROBES.items()),
            _fsync(folder),
            _clock(folder),
            _space(folder),
        ]


@contextlib.contextmanager
def scratch(root: Path) -> Iterator[Path | OSError]:
    """Yields a temporary folder under the root, or the error; a root that did not exist is removed afterwards too."""
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


def _try(name: str, probe: Callable[[], str], *, need: str) -> Finding:
    """Runs a probe, which returns what went wrong, or an empty string."""
    try:
        wrong = probe()
    except OSError as error:
        wrong = error.strerror or str(error)
    if wrong:
        return _root(name, Verdict.FAILED, wrong, f"{need}: put the root on another file system")
    return _root(name, Verdict.OK, "works", f"without it {need}")


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
        return "link() replaced an existing name"
    return "" if (folder / "linked").read_text() == "one" else "the link points to another file"


def _rename(folder: Path) -> str:
    (folder / "old").write_text("old")
    (folder / "new").write_text("new")
    (folder / "new").replace(folder / "old")
    return "" if (folder / "old").read_text() == "new" else "a renamed file shows its old content"


def _flock(folder: Path) -> str:
    lock = Lock(folder / "lock")
    try:
        if not lock.take(wait_s=0):
            return "a free lock could not be acquired"
        return "" if is_held(folder / "lock") else "a held lock appears to be free"
    finally:
        lock.close()


PROBES: dict[str, tuple[Callable[[Path], str], str]] = {
    "exclusive create": (_exclusive, "two submitters could both start a trial"),
    "hard link": (_link, "two submitters could both get a lease"),
    "rename": (_rename, "a reader could see a partly written file"),
    "flock": (_flock, "two workers could occupy one slot"),
}
"""Name -> (probe, what could happen without it)."""


def fsync_ms(folder: Path, *, times: int = 15) -> float:
    """The median time in ms of appending a line and making it durable."""
    took = []
    with (folder / "journal").open("ab", buffering=0) as file:
        for _ in range(times):
            start = time.perf_counter()
            file.write(b"x" * 200 + b"\n")
            os.fsync(file.fileno())
            took.append((time.perf_counter() - start) * 1000)
    return statistics.median(took)


def _fsync(folder: Path) -> Finding:
    median, means = fsync_ms(folder), "writing each log line of a trial takes this long"
    if median <= FSYNC_SLOW_MS:
        return _root("fsync", Verdict.OK, f"{median:.1f} ms", means)
    means += ": raise train.log_every, or use a faster file system"
    return _root("fsync", Verdict.WARNING, f"{median:.0f} ms", means)


def _clock(folder: Path) -> Finding:
    before = time.time()
    path = folder / "clock"
    path.touch()
    skew = path.stat().st_mtime - (before + time.time()) / 2
    skew = 0.0 if abs(skew) < 0.1 else skew  # file times move in ticks
    if abs(skew) <= SKEW_MAX_S:
        return _root("clock", Verdict.OK, f"{skew:+.1f} s", "the clocks of the file system and of this host agree")
    means = "times in tables and MLflow are off by this much; nothing else depends on clocks"
    return _root("clock", Verdict.WARNING, f"{skew:+.1f} s", means)


def _space(folder: Path) -> Finding:
    usage = shutil.disk_usage(folder)
    free, value = usage.free / 1e9, f"{usage.free / 1e9:,.1f} GB free of {usage.total / 1e9:,.0f} GB"
    if free < FREE_MIN_GB:
        return _root("space", Verdict.FAILED, value, "no room for checkpoints: `iwm gc` shows what it would free")
    if free < FREE_LOW_GB:
        means = "large models will soon fill this: `iwm gc` trims checkpoints, resources.keep_checkpoints keeps fewer"
        return _root("space", Verdict.WARNING, value, means)
    return _root("space", Verdict.OK, value, "enough room for checkpoints; `iwm gc` frees more")


def _kind(root: Path, *, shared: bool) -> Finding:
    kind = file_system(root)
    value = f"{root} ({kind})" if kind else f"{root}"
    if shared and kind in ONE_MACHINE:
        means = f"{kind} is usually local to one machine: make sure that every node sees this folder under this path"
        return _root("folder", Verdict.WARNING, value, means)
    return _root("folder", Verdict.OK, value, "trials, journals and checkpoints are stored here")


def file_system(path: Path, *, mounts: Path = Path("/proc/self/mountinfo")) -> str:
    """The type of the file system that holds a path, such as nfs4; empty if unknown."""
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


def examine_services(layout: Layout) -> list[Finding]:
    """The findings on the database and MLflow."""
    return [_database(layout), _tracking(layout)]


def _database(layout: Layout) -> Finding:
    """Opens the database as every verb does; a missing SQLite file is tried in a temporary folder."""
    file, value = sqlite_path(layout.database_url), shown(layout.database_url)
    try:
        if file and not file.exists():
            with scratch(file.parent) as folder:
                if isinstance(folder, OSError):
                    raise DatabaseError(folder.strerror or str(folder))
                Store.open(sqlite_url(folder / "orchestrator.db")).close()
        else:
            Store.open(layout.database_url).close()
    except DatabaseError as error:
        means = "only `plan` and `train` work without it; it can be rebuilt from the files at any time"
        return _service("database", Verdict.FAILED, str(error), means)
    if file and (kind := file_system(file)) in NETWORK:
        means = f"SQLite is not safe on {kind}: set IWM_STATE to a folder on a local disk"
        return _service("database", Verdict.WARNING, value, means)
    return _service("database", Verdict.OK, value, "tables and reports are read from here; files are the truth")


def sqlite_path(url: str) -> Path | None:
    """The file of an SQLite URL; None for any other."""
    scheme, _, file = url.partition(":///")
    return Path(unquote(file.partition("?")[0])) if scheme == "sqlite" else None


def _tracking(layout: Layout) -> Finding:
    """An unreachable MLflow is a warning: nothing waits for it and nothing is lost."""
    value = shown(layout.tracking_uri)
    try:
        _reach(layout)
    except (OSError, ValueError) as error:
        reason = redact(str(getattr(error, "reason", error)), url=layout.tracking_uri)
        means = "trials run and nothing is lost: `iwm sync` sends everything when it is back"
        return _service("MLflow", Verdict.WARNING, f"{value}: {reason}", means)
    return _service("MLflow", Verdict.OK, value, "`iwm sync` and `iwm serve` send runs and metrics here")


def _reach(layout: Layout) -> None:
    """Raises an OSError or ValueError if MLflow does not answer."""
    parts = urlsplit(layout.tracking_uri)
    if is_server(layout):
        health = f"{ui_url(layout)}/health"
        try:
            build_opener(ProxyHandler(getproxies())).open(health, timeout=TIMEOUT_S).close()
        except HTTPError as error:
            with error:
                if error.code not in (401, 403):  # a server that wants credentials; MLflow's own client sends them
                    raise OSError(f"responds with HTTP {error.code} at {health}; is it MLflow?") from None
    elif file := sqlite_path(layout.tracking_uri):
        with scratch(file.parent) as folder:
            if isinstance(folder, OSError):
                raise folder
    elif parts.hostname:
        port = parts.port or {"mysql": 3306}.get(parts.scheme.partition("+")[0], 5432)
        socket.create_connection((parts.hostname, port), timeout=TIMEOUT_S).close()
