"""A plugin of pytest (`-p benchmarks.speed.outcomes`): each test's outcome is a row once the test has ended."""

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.speed.rows import Rows


@dataclass(frozen=True, kw_only=True)
class Row:
    """One test."""

    test: str
    outcome: str  # passed, failed, error or skipped
    seconds: float
    said: str


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Adds a row for a test's call, or for a set-up that skipped it or failed."""
    if "PYTEST_XDIST_WORKER" in os.environ or (report.when != "call" and report.passed):
        return
    outcome = "error" if report.failed and report.when != "call" else report.outcome
    Rows("tests", Path(os.environ["IWM_ROWS"])).add(
        Row(
            test=report.nodeid.removeprefix("tests/gpu/"),
            outcome=outcome,
            seconds=round(report.duration, 2),
            said=_said(report),
        )
    )


def _said(report: pytest.TestReport) -> str:
    """Why it was skipped or failed, on one line."""
    if report.passed:
        return ""
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    return " ".join(str(crash.message if crash else report.longrepr).split())[:300]
