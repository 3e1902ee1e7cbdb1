"""The command line: each verb parses, calls and renders. Heavy imports stay inside the verbs, so that help is instant.

Exit codes: 0 done, 1 something the user asked for failed, 2 the request itself was wrong, 130 interrupted.
Tables and JSON go to standard output, progress and warnings to standard error. The help lists verbs in import order.
"""

from orchestrator.cli import sweeps, control, training, machine  # isort: skip  # noqa: F401
from orchestrator.cli.application import app, main

__all__ = ["app", "main"]
