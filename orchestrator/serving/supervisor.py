"""The small process between `iwm serve` and MLflow's server: ends all of the server's processes when `iwm serve` ends.

    serve --pipe--> supervisor --> mlflow server --> uvicorn                   (supervisor and below: one process group)

MLflow's own parent process does not: killed, it leaves uvicorn behind, which keeps the port. The pipe closes however
`iwm serve` ends, even by SIGKILL. As its last act the supervisor kills its whole group, itself included, which is the
only way to be sure that none of it is left. It imports only the standard library, to stay at ten megabytes.
"""

import os
import select
import signal
import subprocess
import sys
import time

LOOK_S = 0.5
END_S = 4.0
"""Seconds between SIGTERM and SIGKILL."""


def watch(command: list[str], *, pipe: int = 0) -> None:
    """Run the command until it ends, the pipe closes or a signal comes; then end this whole process group."""
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: asked.append(number))
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    while child.poll() is None and not asked:
        readable, _, _ = select.select([pipe], [], [], LOOK_S)
        if readable and not os.read(pipe, 1):
            break
    if child.poll() is not None:
        print(f"exit code {child.returncode}", flush=True)
    os.killpg(0, signal.SIGTERM)
    deadline = time.monotonic() + END_S
    while child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    watch(sys.argv[1:])
