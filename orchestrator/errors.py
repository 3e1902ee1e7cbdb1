"""The errors of the orchestrator and their exit codes.

    IwmError                      exit 1: something the user asked for failed
    |-- RequestError              exit 2: the request itself was wrong
    |   |-- UnknownSweepError     no such sweep; lists the known ones
    |   |-- OverrideError         an invalid axis, value or override; lists the valid ones
    |   |-- UnknownTrialError     no such trial under this root
    |   |-- RootError             the root cannot be read or written
    |   |-- RefusedError          SLURM rejects the job; quotes its message
    |   `-- DatabaseError         a database that is unreachable or of a newer version
    |-- LaunchError               a job could not be started
    |-- BusyError                 the trial is already running elsewhere
    |-- ClusterError              a daemon or command of a throwaway SLURM failed
    `-- TrackingError             MLflow is unreachable: a warning, never a failure

`iwm_core.errors.CoreError` (a setting or data the core cannot work with) also ends in exit code 2. Both kinds carry the
setting, value, choices and path that they are about as attributes: `iwm_core.errors.DetailedError`.
"""

from iwm_core.errors import DetailedError


class IwmError(DetailedError):
    """Base: something the user asked for failed."""

    exit_code = 1


class RequestError(IwmError):
    """The request itself was wrong."""

    exit_code = 2


class UnknownSweepError(RequestError):
    """No such sweep."""


class OverrideError(RequestError):
    """Invalid axis, value or override."""


class UnknownTrialError(RequestError):
    """No such trial under this root."""


class RootError(RequestError):
    """The root cannot be read or written."""


class RefusedError(RequestError):
    """SLURM rejects the job."""


class DatabaseError(RequestError):
    """A database that is unreachable or of a newer version."""


class LaunchError(IwmError):
    """A job could not be started."""


class BusyError(IwmError):
    """The trial is already running elsewhere."""


class ClusterError(IwmError):
    """A daemon or command of a throwaway SLURM failed."""


class TrackingError(IwmError):
    """MLflow is unreachable."""
