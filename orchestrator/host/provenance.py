"""Where a result comes from: the code's commit, the packages, the machine. Told once per attempt, never identity."""

import getpass
import hashlib
import platform
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
    """Who runs this; the numeric id where it has no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


@cache
def provenance() -> dict[str, Any]:
    """Commit and whether the tree differs from it, the core's source, package versions, Python and platform."""
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
    """`commit` and `dirty` of the checkout that this code runs from; empty where it is installed without git."""
    commit = _git("rev-parse", "HEAD", folder=folder)
    changed = _git("status", "--porcelain", "--untracked-files=no", folder=folder) if commit else ""
    return {"commit": commit, "dirty": bool(changed)}


def core_sha256(folder: Path = Path(__file__).parents[2] / "iwm_core") -> str:
    """Of the source that decides a result, so that a change between two attempts is noticed, with git or without."""
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
