"""MLflow's own server, loaded once and started in no time: each line on standard input forks one, and tells its pid.

`python tests/fakes/tracking_server.py PORT`, in the environment of `server_environment`; kill what it forks.
"""

import os
import signal
import sys

from mlflow.server import constants

os.environ[constants.BACKEND_STORE_URI_ENV_VAR] = os.environ["MLFLOW_BACKEND_STORE_URI"]
os.environ[constants.ARTIFACTS_DESTINATION_ENV_VAR] = os.environ["MLFLOW_ARTIFACTS_DESTINATION"]
os.environ[constants.ARTIFACT_ROOT_ENV_VAR] = "mlflow-artifacts:/"
os.environ[constants.SERVE_ARTIFACTS_ENV_VAR] = "true"

import uvicorn
from mlflow.server.fastapi_app import app


def main(port: int) -> None:
    """Forks a server for every line, until there are no more."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for _ in sys.stdin:
        pid = os.fork()
        if not pid:
            uvicorn.run(app, port=port, log_level="warning")
        print(pid, flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
