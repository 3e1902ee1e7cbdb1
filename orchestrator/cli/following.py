"""A trial's logs: read once, or followed across attempts until the trial has ended."""

import codecs
import contextlib
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

from orchestrator.records.layout import Layout, TrialFolder
from orchestrator.records.logs import log_files
from orchestrator.records.scan import read_status
from orchestrator.trial.launchers import FOREGROUND
from orchestrator.trial.lifecycle import UNDER_WAY, State, TrialStatus

FOLLOW_S = 0.5
OBSERVE_S = 10.0
"""Seconds between looks at the root's workers and jobs: no other process may be looking."""
CHUNK = 1 << 20


def goes_on(status: TrialStatus) -> bool:
    """Return True if a trial may continue by itself; one that `iwm train` left preempted waits for a user."""
    return status.state in UNDER_WAY and not (status.state is State.PREEMPTED and status.launcher == FOREGROUND)


def print_logs(layout: Layout, trial_id: str, *, observe: Callable[[], None] | None = None) -> None:
    """Print every attempt's standard output and error, oldest first.

    With `observe`, follow them until the trial has ended or Ctrl-C, calling it from time to time.
    """
    folder, observed = layout.trial(trial_id), time.monotonic()

    def pause() -> None:
        nonlocal observed
        time.sleep(FOLLOW_S)
        if observe and time.monotonic() - observed > OBSERVE_S:
            observe()
            observed = time.monotonic()

    status = read_status(folder)
    if not status.attempts:
        sys.stderr.write(f"{status.state.value}, no attempt has started yet\n")
    with contextlib.suppress(KeyboardInterrupt) if observe else contextlib.nullcontext():
        for text in log_text(folder, pause=pause if observe else None):
            sys.stdout.write(text)
            sys.stdout.flush()


def log_text(folder: TrialFolder, *, pause: Callable[[], None] | None = None) -> Iterator[str]:
    """Yield the text of the trial's logs; with `pause`, called between two looks, also new text until the trial ends.

    A heading marks where the text of another file begins, as in `tail -f`. Links among the logs are not followed.
    A worker may still write for a moment after its trial has ended, so the last look is one that finds nothing new.
    """
    decoders = defaultdict(lambda: codecs.getincrementaldecoder("utf-8")(errors="replace"))
    read_to: dict[Path, int] = {}
    last, line_end, moves = None, "", True
    while moves:
        under_way, found = goes_on(read_status(folder)), False
        for path in sorted(log_files(folder), key=lambda path: (path.stat().st_mtime_ns, path.name)):
            with path.open("rb") as file:
                start = read_to.get(path, 0)
                file.seek(start if start <= path.stat().st_size else 0)
                while raw := file.read(CHUNK):
                    found = True
                    if path != last:
                        yield f"{line_end}==> {path.name} <==\n"
                        last = path
                    line_end = "" if raw.endswith(b"\n") else "\n"
                    yield decoders[path].decode(raw)
                read_to[path] = file.tell()
        moves = pause is not None and (under_way or found)
        if pause and moves:
            pause()
