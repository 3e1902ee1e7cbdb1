"""`python -m orchestrator.worker TRIAL_FOLDER`"""

from orchestrator.worker.workers import main

main()
