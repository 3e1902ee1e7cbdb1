"""`python -m orchestrator.worker TRIAL_FOLDER`"""

import sys
from pathlib import Path

from orchestrator.worker.workers import Worker

Worker(Path(sys.argv[1]))()
