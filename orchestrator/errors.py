"""What can go wrong in the orchestrator, and the exit code that says whose move it is.

    IwmError                      exit 1: something the user asked for failed
    |-- RequestError              exit 2: the request itself was wrong
    |   |-- UnknownSweepError     no such sweep; names the ones there are
    |   |-- OverrideError         an axis, value or override that means nothing; names the valid ones
    |   |-- UnknownTrialError     no such trial under this root
    |   |-- RootError             the root cannot be read or written
    |   |-- RefusedError          SLURM does not take such a job; in its own words
    |   `-- DatabaseError         a database that is out of reach or of a newer version
    |-- LaunchError               a job could not be started
    |-- BusyError                 the trial is already running elsewhere
    |-- ClusterError              a daemon or command of a throwaway SLURM failed
    `-- TrackingError             MLflow is out of reach: a warning, never a failure

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
    """An axis, value or override that means nothing."""


class UnknownTrialError(RequestError):
    """No such trial under this root."""


class RootError(RequestError):
    """The root cannot be read or written."""


class RefusedError(RequestError):
    """SLURM does not take such a job."""


class DatabaseError(RequestError):
    """A database that is out of reach or of a newer version."""


class LaunchError(IwmError):
    """A job could not be started."""


class BusyError(IwmError):
    """The trial is already running elsewhere."""


class ClusterError(IwmError):
    """A daemon or command of a throwaway SLURM failed."""


class TrackingError(IwmError):
    """MLflow is out of reach."""
