"""The doors through which a trial can be started, by name."""

from orchestrator.errors import RequestError

LOCAL = "local"
SLURM = "slurm"
FOREGROUND = "foreground"
"""`iwm train`: nobody starts it again."""
HYDRA = "hydra"
LAUNCHERS = (LOCAL, SLURM)
"""Those that a person may choose."""


def check_launcher(name: str) -> str:
    """The name, if a person may choose it.

    Raises:
        RequestError: there is no such launcher.
    """
    if name not in LAUNCHERS:
        raise RequestError(f"unknown launcher '{name}'; choose from {', '.join(LAUNCHERS)}")
    return name
