"""What a job runs: a picklable callable that holds one path, so that nothing it needs is older than the trial's folder.

Signals come first: from the moment the job calls us, SIGTERM and USR2 only raise a flag, while torch still imports.
"""

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from orchestrator.layout import TrialFolder
from orchestrator.signals import stop_flag

GPU = "IWM_GPU"
"""Environment variable: the GPU that the local launcher gave this worker, empty for none."""


@dataclass(frozen=True)
class Worker:
    """Runs the trial in `path` until it is finished or the job is asked to stop."""

    path: Path

    def __call__(self) -> str:
        """How the attempt ended: an event's name, or why there was nothing to do."""
        if GPU in os.environ:  # submitit's local executor hides them all
            os.environ["CUDA_VISIBLE_DEVICES"] = os.environ[GPU]
        with stop_flag() as stop:
            from orchestrator.attempt import Job, NoRightToRun, Superseded, run_attempt

            logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
            try:
                return run_attempt(TrialFolder(self.path), job=Job.from_environment(), should_stop=stop).name
            except (NoRightToRun, Superseded) as leave:
                logging.getLogger(__name__).info("leaving: %s", leave)
                return f"left: {leave}"
