"""Findings of the doctor, each with a verdict, and the report of all. Pure."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from rich.table import Table
from rich.text import Text


class Verdict(StrEnum):
    """How a finding affects a sweep."""

    OK = "ok"
    WARNING = "warning"  # sweeps run, with a surprise
    FAILED = "failed"  # sweeps do not run reliably
    NOT_THERE = "not there"  # the site does not have it, and sweeps do not need it


COLOURS = {Verdict.OK: "green", Verdict.WARNING: "yellow", Verdict.FAILED: "red", Verdict.NOT_THERE: "dim"}


@dataclass(frozen=True)
class Finding:
    """One line of the report: what was checked, what was found, what it means and what to do."""

    subject: str
    name: str
    verdict: Verdict
    value: str
    means: str


@dataclass(frozen=True)
class Report:
    """All findings."""

    findings: tuple[Finding, ...]

    @property
    def failed(self) -> bool:
        """True if a finding failed."""
        return any(finding.verdict is Verdict.FAILED for finding in self.findings)

    def counts(self) -> dict[str, int]:
        """Findings per verdict."""
        return {verdict.value: sum(one.verdict is verdict for one in self.findings) for verdict in Verdict}

    def to_dict(self) -> dict[str, Any]:
        """The JSON of `iwm doctor --json`."""
        findings = [asdict(finding) for finding in self.findings]
        return {"verdict": "failed" if self.failed else "ok", "counts": self.counts(), "findings": findings}

    def table(self) -> Table:
        """One row per finding; a subject is named once."""
        table = Table(box=None, pad_edge=False)
        for heading in ("", "what", "verdict", "found", "what it means"):
            table.add_column(heading, overflow="fold")
        before = ""
        for one in self.findings:
            verdict = Text(one.verdict.value, style=COLOURS[one.verdict])
            shown = one.subject if one.subject != before else ""
            table.add_row(shown, one.name, verdict, Text(one.value), Text(one.means))
            before = one.subject
        return table
