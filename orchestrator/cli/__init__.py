"""The command line: each verb parses, calls and renders. Heavy imports stay inside the verbs, so that help is instant.

Exit codes: 0 done, 1 something the user asked for failed, 2 the request itself was wrong, 130 interrupted.
Tables and JSON go to standard output, progress and remarks to standard error. The imports are in the order of the help.
"""

from orchestrator.cli import sweeps, control, upkeep, serve, evaluate, here, doctor, cluster  # isort: skip  # noqa: F401
from orchestrator.cli.application import app, explain, main

__all__ = ["app", "explain", "main"]
