"""The commit, packages and machine behind a result. Recorded once per attempt; not part of a trial's identity."""

import hashlib
import os
import platform
import pwd
import socket
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("iwm-orchestrator", "torch", "torchvision", "timm", "numpy", "scikit-learn", "submitit")


def host() -> str:
    """This machine's name."""
    return socket.gethostname()


def user() -> str:
    """The name of this process's effective user; its number if it has none.

    Not of $USER, which `sudo -E` and containers carry over from another user: SLURM goes by the effective one.
    """
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


@cache
def provenance() -> dict[str, Any]:
    """Commit, whether the tree differs from it, hash of the core's source, package versions, Python and platform."""
    return {
        **code_version(),
        "core_sha256": core_sha256(),
        "packages": versions(),
        "python": platform.python_version(),
        "platform": platform.platform(),
    }


def versions() -> dict[str, str]:
    """Installed versions of the packages that can change a result."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = ""
    return found


def code_version(folder: Path = Path(__file__).parent) -> dict[str, Any]:
    """`commit` and `dirty` of the checkout that this code runs from; `commit` is empty without git."""
    commit = _git("rev-parse", "HEAD", folder=folder)
    changed = _git("status", "--porcelain", "--untracked-files=no", folder=folder) if commit else ""
    return {"commit": commit, "dirty": bool(changed)}


def core_sha256(folder: Path = Path(__file__).parents[2] / "iwm_core") -> str:
    """The sha256 of the core's source, which shows a change between two attempts even without git."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _git(*arguments: str, folder: Path) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
