"""A report fails where a finding does, and says the same in a table and in JSON."""

import json

import pytest
from rich.console import Console

from orchestrator.doctor import Finding, Report, Verdict


def finding(verdict, name="fsync"):
    return Finding("root", name, verdict, value="3 [ms]", means="a line costs this")


@pytest.mark.parametrize("verdict", Verdict)
def test_only_what_failed_fails(verdict):
    report = Report((finding(Verdict.OK), finding(verdict)))
    assert report.failed is (verdict is Verdict.FAILED)
    told = json.loads(json.dumps(report.to_dict()))
    assert told["verdict"] == ("failed" if report.failed else "ok")
    assert told["findings"][1] == {
        "subject": "root", "name": "fsync", "verdict": verdict.value, "value": "3 [ms]", "means": "a line costs this"
    }  # fmt: skip
    assert sum(told["counts"].values()) == 2


def test_the_table_shows_everything_and_each_subject_once():
    console = Console(width=120)
    with console.capture() as captured:
        console.print(Report((finding(Verdict.OK), finding(Verdict.WARNING, "flock"))).table())
    lines = captured.get().splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["root", "flock"]
    assert all("3 [ms]" in line and "a line costs this" in line for line in lines[1:])
