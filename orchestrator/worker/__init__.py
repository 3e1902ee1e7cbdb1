"""The code that a job runs: workers, their attempts, ranks.

A job that waits in a queue holds a pickle, which refers to what it runs by the names below: they stay, whatever moves.
"""

from orchestrator.worker.workers import Pack, Worker

__all__ = ["Pack", "Worker"]
