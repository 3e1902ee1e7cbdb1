"""The doors through which a trial can be started, by name, and what a worker is told by its environment."""

from orchestrator.errors import RequestError

LOCAL = "local"
SLURM = "slurm"
FOREGROUND = "foreground"
"""`iwm train`: nobody starts it again."""
HYDRA = "hydra"
LAUNCHERS = (LOCAL, SLURM)
"""Those that a person may choose."""

TOKEN = "IWM_CLAIM"
"""Environment variable: the token of the claim under which a job was submitted."""
SLOT = "IWM_SLOT_LOCK"
"""Environment variable: the lock file of the local slot that the worker holds while it lives."""


def check_launcher(name: str) -> str:
    """The name, if a person may choose it.

    Raises:
        RequestError: there is no such launcher.
    """
    if name not in LAUNCHERS:
        raise RequestError.unknown("launcher", name, choices=LAUNCHERS)
    return name
