"""The launchers, by name, and the environment variables of a worker."""

from orchestrator.errors import RequestError

LOCAL = "local"
SLURM = "slurm"
FOREGROUND = "foreground"
"""`iwm train`; not restarted."""
HYDRA = "hydra"
UNVERIFIED = "hydra-{job_id}"
"""The fencing token of a job that Hydra submitted before its jobs carried one."""
LAUNCHERS = (LOCAL, SLURM)
"""Those that a user can choose."""

TOKEN = "IWM_CLAIM"
"""Environment variable: the fencing token of the lease under which a job was submitted."""
SLOT = "IWM_SLOT_LOCK"
"""Environment variable: the lock file of the local slot, which the worker holds while it lives."""


def check_launcher(name: str) -> str:
    """Check and return a launcher's name.

    Raises:
        RequestError: unknown launcher; lists the known ones.
    """
    if name not in LAUNCHERS:
        raise RequestError.unknown("launcher", name, choices=LAUNCHERS)
    return name
