"""What settings mean, on the text that `scontrol show config` prints."""

import pytest

from orchestrator.doctor.finding import Verdict
from orchestrator.doctor.site import has_accounting, sends_user_signal, settings_findings
from orchestrator.host import slurm

TEXT = """Configuration data as of 2026-11-21T05:12:28
AccountingStorageType   = accounting_storage/slurmdbd
AuthInfo                = socket=/tmp/munge.sock,cred_expire=5
EnforcePartLimits       = ALL
JobRequeue              = 1
KillWait                = 30 sec
MaxArraySize            = 4001
MaxJobCount             = 20000
MinJobAge               = 600 sec
PreemptMode             = REQUEUE
PreemptType             = preempt/partition_prio
SlurmctldParameters     = preempt_send_user_signal,enable_configless

Slurmctld(primary) at vm is UP
"""
CONFIG = slurm.parse_config(TEXT)


def found(**changes):
    return {one.name: one for one in settings_findings({**CONFIG, **changes})}


def test_a_site_without_surprises():
    lines = found()
    assert {one.verdict for one in lines.values()} == {Verdict.OK}
    assert lines["KillWait"].value == "30 s"
    assert "after 6 s" in lines["cred_expire"].means
    assert "4001" in lines["MaxArraySize"].means
    assert "REQUEUE" in lines["PreemptType"].value


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("KillWait", {"KillWait": "3 sec"}, "GraceTime"),
        ("EnforcePartLimits", {"EnforcePartLimits": "NO"}, "never starts"),
        ("MaxArraySize", {"MaxArraySize": "10"}, "10 jobs"),
        ("MinJobAge", {"MinJobAge": "2 sec", "AccountingStorageType": "accounting_storage/none"}, "iwm serve"),
    ],
)
def test_surprises_are_warnings(name, changes, said):
    line = found(**changes)[name]
    assert line.verdict is Verdict.WARNING
    assert said in line.means


def test_defaults_of_a_site_that_says_little():
    lines = {one.name: one for one in settings_findings({})}
    assert "121 s" in lines["cred_expire"].means
    assert (lines["PreemptType"].value, lines["MaxArraySize"].value) == ("none", "1001")


@pytest.mark.parametrize(
    ("config", "sent"),
    [
        ({"SlurmctldParameters": "preempt_send_user_signal"}, True),
        ({"PreemptParameters": "reorder_count=2,send_user_signal"}, True),
        ({"SlurmctldParameters": "(null)"}, False),
        ({}, False),
    ],
)
def test_the_signal_of_preemption(config, sent):
    assert sends_user_signal(config) is sent


def test_accounting():
    assert has_accounting(CONFIG)
    assert not has_accounting({"AccountingStorageType": "accounting_storage/none"})
    assert not has_accounting({"AccountingStorageType": "(null)"})
