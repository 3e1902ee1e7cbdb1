"""What is said of SLURM, by how its commands answer. A real one: tests/slurm/test_doctor.py."""

import pytest

from orchestrator.doctor.finding import Verdict
from orchestrator.doctor.site import examine_site, is_up, smallest_job
from orchestrator.host import slurm
from orchestrator.host.slurm import Answer
from tests.orchestrator.doctor.test_partitions import PARTITIONS
from tests.orchestrator.doctor.test_settings import TEXT

UP = Answer(code=0, out="Slurmctld(primary) at vm is UP\n", err="")
DOWN = "Slurmctld(primary) at vm is DOWN\n****\n** RESTORE SLURMCTLD DAEMON TO SERVICE **\n****\n"
NO_ACCOUNT = "sbatch: error: Batch job submission failed: Invalid account or account/partition combination specified\n"


class Site:
    """Answers as SLURM does; a command is known by its program, sbatch also by the partition that its script names."""

    def __init__(self, **answers):
        self.answers = answers

    def __call__(self, command):
        program = " ".join(command[:3]) if command[0] == "scontrol" else command[0]
        usual = {"scontrol ping": UP, "scontrol show config": TEXT, "scontrol show partition": PARTITIONS}
        usual |= {"sinfo": "2|idle|gpu:2\n", "sacct": "", "sbatch": self.sbatch(command)}
        answer = self.answers.get(program.replace(" ", "_"), usual[program])
        return answer if isinstance(answer, Answer) else Answer(code=0, out=answer, err="")

    def sbatch(self, command):
        if command[0] != "sbatch":
            return ""
        with open(command[-1]) as script:
            asked = script.read()
        refused = [name for name in self.answers.get("refuses", ()) if asked == smallest_job(name)]
        return Answer(code=1, out="", err=NO_ACCOUNT) if refused else ""


def findings(**answers):
    return {one.name: one for one in examine_site(Site(**answers))}


def test_a_whole_site():
    found = findings()
    assert found["controller"].value.startswith("SLURM")
    assert {found[name].verdict for name in ("controller", "submit", "sacct", "nodes", "partition gpu*")} == {
        Verdict.OK
    }
    assert "KillWait" in found


@pytest.mark.parametrize(
    ("ping", "verdict", "said"),
    [
        (Answer(code=127, out="", err="scontrol is not installed here"), Verdict.NOT_THERE, "not installed"),
        (
            Answer(code=1, out="", err="scontrol: fatal: Could not establish a configuration source\n"),
            Verdict.NOT_THERE,
            "no cluster",
        ),
        (Answer(code=1, out=DOWN, err=""), Verdict.FAILED, "DOWN"),
        (Answer(code=124, out="", err="scontrol did not answer in 30 s"), Verdict.FAILED, "did not answer"),
    ],
)
def test_one_line_where_there_is_nobody_to_ask(ping, verdict, said):
    (line,) = examine_site(Site(scontrol_ping=ping))
    assert line.verdict is verdict
    assert said in line.value


def test_a_backup_controller_may_be_down():
    assert is_up(Answer(code=0, out=UP.out + "Slurmctld(backup) at vm2 is DOWN\n", err=""))


def test_who_may_submit():
    assert findings(refuses=[""])["submit"].verdict is Verdict.WARNING
    assert "partition=gpu" in findings(refuses=[""])["submit"].means
    found = findings(refuses=["", "gpu", "urgent"])
    assert found["submit"].verdict is Verdict.FAILED
    assert "Invalid account" in found["submit"].value
    assert "Invalid account" in found["partition gpu*"].means


def test_an_accounting_that_is_away_or_absent():
    away = Answer(code=1, out="", err="sacct: error: Problem talking to the database: Connection refused\n")
    line = findings(sacct=away)["sacct"]
    assert line.verdict is Verdict.WARNING
    assert "Connection refused" in line.value
    config = TEXT.replace("accounting_storage/slurmdbd", "accounting_storage/none")
    assert findings(scontrol_show_config=config)["sacct"].verdict is Verdict.NOT_THERE


def test_a_machine_without_slurm_s_commands(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    (line,) = examine_site(slurm.run)
    assert line.verdict is Verdict.NOT_THERE
