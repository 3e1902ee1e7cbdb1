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


def pytest_configure(config: pytest.Config) -> None:
    """Hears of outcomes in the process that started the others."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Outcomes())


class Outcomes:
    """Adds the rows."""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Of a test's call, or of a set-up that skipped it or failed."""
        if report.when == "call" or not report.passed:
            _add(report)


def _add(report: pytest.TestReport) -> None:
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
