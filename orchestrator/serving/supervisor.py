"""The small process between `iwm serve` and MLflow's server: ends all of the server's processes when we are gone.

    serve --pipe--> supervisor --> mlflow server --> uvicorn                   (supervisor and below: one process group)

MLflow's own parent process does not do that: killed, it leaves uvicorn behind, with the port. The pipe closes whichever
way `iwm serve` ends, SIGKILL among them. The supervisor is killed by its own last act, which is the one way to know
that nobody of its group is left. It imports nothing but the standard library: ten megabytes.
"""

import os
import select
import signal
import subprocess
import sys
import time

LOOK_S = 0.5
END_S = 4.0
"""Between SIGTERM and SIGKILL."""


def watch(command: list[str], *, pipe: int = 0) -> None:
    """Runs the command until it ends, the pipe closes or a signal comes; then ends this whole process group."""
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
    end_group(child)


def end_group(child: subprocess.Popen[bytes]) -> None:
    """SIGTERM for everybody here, then SIGKILL for whoever is left, this process too."""
    os.killpg(0, signal.SIGTERM)
    deadline = time.monotonic() + END_S
    while child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    watch(sys.argv[1:])
