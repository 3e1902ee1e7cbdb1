"""Commands as lists of words, answers as SLURM 22.05 and newer ones print them."""

from datetime import UTC, datetime

import pytest

from orchestrator.host import slurm
from orchestrator.host.slurm import Answer, Job
from orchestrator.trial.events import Cause

SQUEUE = """\
54810_0|COMPLETED|pair|odd-0123456789abcdef|n1|None|n1
54814|COMPLETING|rq-00000000deadbeef|n1|None|n1
54812|FAILED|bad-00000000deadbeef|n1|NonZeroExitCode|(NonZeroExitCode)
54810_2|PENDING|pair|odd-0123456789abcdef||JobArrayTaskLimit|(JobArrayTaskLimit)
54811|PENDING|plain||JobHeldUser|(JobHeldUser)
54830|PENDING|hot-00000000deadbeef||JobHeldUser|(launch failed requeued held)
54831|PENDING|hot-00000000deadbeef||launch_failed_requeued_held|(launch_failed_requeued_held)
54832|PENDING|rq-00000000deadbeef||job requeued in held state|(job requeued in held state)
54833|SPECIAL_EXIT|rq-00000000deadbeef||job_requeued_in_held_state|(job_requeued_in_held_state)
54810_1|RUNNING|pair|odd-0123456789abcdef|n1|None|n1
54834|SPECIAL_EXIT|code-00000000deadbeef||JobHeldUser|(JobHeldUser)
54835|REQUEUE_HOLD|hot-00000000deadbeef||launch_failure_limit_exceeded_requeued_held|(launch_failure_limit_exceeded_requeued_held)
54836|PENDING|env-00000000deadbeef||user_env_retrieval_failed_requeued_held|(user_env_retrieval_failed_requeued_held)
54837|PENDING|max-00000000deadbeef||JobHoldMaxRequeue|(JobHoldMaxRequeue)
54838|RESV_DEL_HOLD|resv-00000000deadbeef||None|
"""
SACCT = """\
54812|FAILED|bad-00000000deadbeef|n1|3:0|2026-01-31T10:00:02
54813|FAILED|killed-00000000deadbeef|n1|9:0|2026-01-31T10:00:03
54814|REQUEUED|rq-00000000deadbeef|n1|0:0|2026-01-31T10:00:04
54815|CANCELLED by 0|pair|odd-00000000deadbeef|n2|0:0|2026-01-31T10:00:05
54816|PREEMPTED|p-00000000deadbeef|n2|0:15|2026-01-31T10:00:06
54820_[3-9]|PENDING|many-00000000deadbeef|None assigned|0:0|Unknown
54821|PENDING|one-00000000deadbeef|None assigned|0:0|Unknown
54814|RUNNING|rq-00000000deadbeef|n1|0:0|Unknown
54814.batch|RUNNING|batch|n1|0:0|Unknown
"""
REFUSED = "sbatch: error: invalid partition specified: nosuch\nallocation failure: Invalid partition name specified\n"


@pytest.mark.parametrize(
    ("until_22_05", "since_23_02", "code"),
    [("768", "3:0", (3, 0)), ("9", "0:9", (0, 9)), ("2304", "9:0", (9, 0)), ("35072", "137:0", (9, 0))],
)
def test_exit_codes_as_wait_has_them_and_as_two_numbers(until_22_05, since_23_02, code):
    said = f"7            {until_22_05}\n8_1     {since_23_02}\nslurm_load_jobs error: no\n9   N/A\n"
    assert slurm.parse_exit_codes(said) == {"7": code, "8_1": code}


def refused(err: str, *, code: int = 1) -> Answer:
    return Answer(code=code, out="", err=err)


def test_squeue():
    jobs = {job.id: job for job in slurm.parse_squeue(SQUEUE)}
    assert len(jobs) == 15
    assert jobs["54810_1"] == Job(id="54810_1", state="RUNNING", name="pair|odd-0123456789abcdef", node="n1")
    assert (jobs["54810_2"].token, jobs["54810_2"].index) == ("0123456789abcdef", 2)
    assert (jobs["54811"].token, jobs["54811"].index) == ("", 0)
    assert [job.id for job in jobs.values() if job.is_over] == ["54810_0", "54812"]
    assert [job.id for job in jobs.values() if job.is_held] == ["54811", *(str(54830 + n) for n in range(9))]
    assert [job.id for job in jobs.values() if job.failed_to_launch] == ["54830", "54831", "54835", "54836"]
    assert jobs["54831"].reason == "launch failed requeued held"


@pytest.mark.parametrize("text", ["", "\n", "slurm_load_jobs error: Invalid job id specified\n"])
def test_nothing_is_read_into_other_words(text):
    assert slurm.parse_squeue(text) == slurm.parse_sacct(text) == []


def test_sacct_gives_each_start_of_a_job_without_its_steps():
    jobs = slurm.parse_sacct(SACCT)
    assert [job.state for job in jobs if job.id == "54814"] == ["REQUEUED", "RUNNING"]
    assert [job.id for job in jobs if "." in job.id or "[" in job.id] == []
    ended_t = datetime(2026, 1, 31, 10, 0, 5, tzinfo=UTC).timestamp()
    assert jobs[3] == Job(id="54815", state="CANCELLED", name="pair|odd-00000000deadbeef", node="n2", ended_t=ended_t)
    assert [job.ended_t for job in jobs if job.state == "RUNNING"] == [0.0]
    assert next(job for job in jobs if job.id == "54821").node == ""


def test_sacct_gives_each_task_of_an_array_that_was_cancelled_before_it_started():
    row = "54822_[0-2,7%4]|CANCELLED by 0|many-00000000deadbeef|None assigned|0:0|2026-01-31T10:00:05"
    jobs = slurm.parse_sacct(row)
    assert [job.id for job in jobs] == ["54822_0", "54822_1", "54822_2", "54822_7"]
    assert {job.state for job in jobs} == {"CANCELLED"}


@pytest.mark.parametrize(
    ("state", "code", "cause", "sentence"),
    [
        ("FAILED", (3, 0), Cause.ERROR, "FAILED 3:0 on n1"),
        ("FAILED", (9, 0), Cause.KILLED, "FAILED 9:0 on n1"),
        ("FAILED", (0, 9), Cause.KILLED, "FAILED 0:9 on n1"),
        ("FAILED", (15, 0), Cause.VANISHED, "FAILED 15:0 on n1"),
        ("FAILED", (0, 12), Cause.VANISHED, "FAILED 0:12 on n1"),
        ("OUT_OF_MEMORY", (0, 125), Cause.OUT_OF_MEMORY, "OUT_OF_MEMORY 0:125 on n1"),
        ("NODE_FAIL", (1, 0), Cause.NODE_FAIL, "NODE_FAIL 1:0 on n1"),
        ("BOOT_FAIL", (0, 0), Cause.NODE_FAIL, "BOOT_FAIL on n1"),
        ("TIMEOUT", (0, 0), Cause.TIMEOUT, "TIMEOUT on n1"),
        ("DEADLINE", (0, 0), Cause.TIMEOUT, "DEADLINE on n1"),
        ("PREEMPTED", (0, 15), Cause.PREEMPTED, "PREEMPTED 0:15 on n1"),
        ("REQUEUED", (0, 0), Cause.REQUEUED, "REQUEUED on n1"),
        ("COMPLETED", (0, 0), Cause.VANISHED, "COMPLETED on n1"),
    ],
)
def test_why_a_job_ended(state, code, cause, sentence):
    job = Job(id="7", state=state, node="n1", exit_code=code[0], signal=code[1])
    assert (job.cause, job.sentence) == (cause, sentence)


@pytest.mark.parametrize(
    ("name", "token"),
    [
        ("depth-0123456789abcdef", "0123456789abcdef"),
        ("depth-0123456789abcdef-0000000000000000", "0000000000000000"),
        ("depth-0123456789ABCDEF", ""),
        ("depth-123456789abcdef", ""),
        ("0123456789abcdef", ""),
        ("depth-0123456789abcdef-2", ""),
    ],
)
def test_a_name_ends_with_its_token(name, token):
    assert Job(id="1", state="RUNNING", name=name).token == token


@pytest.mark.parametrize(
    ("answer", "is_refusal"),
    [
        (refused(REFUSED), True),
        (refused("sbatch: error: Batch job submission failed: Requested node configuration is not available\n"), True),
        (refused("sbatch: error: Invalid --time specification\n", code=255), True),
        (refused("sbatch: error: Batch job submission failed: Socket timed out on send/recv operation\n"), False),
        (refused("slurm_load_jobs error: Unable to contact slurm controller (connect failure)\n"), False),
        (refused("sbatch: error: Batch job submission failed: Connection refused\n"), False),
        (refused("sbatch did not answer in 30 s", code=124), False),
        (Answer(code=0, out="", err="sbatch: Job 54823 to start at 2026-11-21T06:06:01\n"), False),
    ],
)
def test_no_is_another_answer_than_none(answer, is_refusal):
    assert slurm.is_refusal(answer) is is_refusal


def test_words_are_one_line_without_the_program_s_name():
    words = refused(REFUSED).words
    assert words == "invalid partition specified: nosuch; allocation failure: Invalid partition name specified"
    assert refused("sbatch: error: no\nsbatch: error: no\n").words == "no"
    assert refused("", code=3).words == "exit code 3"


def test_a_command_that_is_not_there_and_one_that_hangs_say_so():
    absent, late = slurm.run(["no-such-program"]), slurm.run(["sleep", "9"], timeout_s=0.05)
    assert (absent.code, absent.words) == (127, "no-such-program is not installed here")
    assert (late.code, late.words) == (124, "sleep did not answer in 0.05 s")
    assert not slurm.is_refusal(late)


@pytest.mark.parametrize(
    "variable", ["SQUEUE_FORMAT", "SBATCH_PARTITION", "SRUN_EXPORT_ENV", "SLURM_CLUSTERS", "SLURM_TIME_FORMAT", "TZ"]
)
def test_what_a_shell_says_of_slurm_changes_no_call(monkeypatch, variable):
    monkeypatch.setenv(variable, "Asia/Tokyo")
    assert "Asia/Tokyo" not in slurm.run(["env"]).out


def test_where_the_controller_is_stays(monkeypatch):
    for variable in ("SLURM_CONF", "SLURM_JWT", "SLURM_SACK_KEY"):
        monkeypatch.setenv(variable, "/somewhere")
        assert f"{variable}=/somewhere" in slurm.run(["env"]).out.splitlines()


def test_text_that_is_not_utf8_costs_its_letters():
    answer = slurm.run(["printf", r"7|RUNNING|caf\351|n1|None|n1\n8|RUNNING|x-0123456789abcdef|n1|None|n1\n"])
    assert [job.token for job in slurm.parse_squeue(answer.out)] == ["", "0123456789abcdef"]


@pytest.mark.parametrize(
    "line", ["x|RUNNING|a|n1|None|n1", "7_[0-2...]|PENDING|a||None|", "a job's name over", "|||||"]
)
def test_a_line_that_cannot_be_read_costs_that_line(line):
    assert [job.id for job in slurm.parse_squeue(f"{line}\n{SQUEUE}")] == [job.id for job in slurm.parse_squeue(SQUEUE)]


@pytest.mark.parametrize(("codes", "read"), [("x:y", (0, 0)), ("", (0, 0)), ("3:0", (3, 0)), ("137:0", (9, 0))])
def test_codes_of_the_accounting(codes, read):
    (job,) = slurm.parse_sacct(f"7|FAILED|a|n1|{codes}|Unknown")
    assert (job.exit_code, job.signal) == read


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (slurm.squeue_command([]), "squeue --noheader --array --states=all --format %i|%T|%j|%N|%r|%R"),
        (
            slurm.squeue_command(["a", "b"]),
            "squeue --noheader --array --states=all --user a,b --format %i|%T|%j|%N|%r|%R",
        ),
        (
            slurm.exit_codes_command(["a", "b"]),
            "squeue --noheader --array --states=FAILED --user a,b --Format JobArrayID:40,exit_code:20",
        ),
        (
            slurm.sacct_command(["a"], since="2026-01-31T10:00:00"),
            "sacct --noheader --parsable2 --allocations --duplicates --user a --starttime 2026-01-31T10:00:00 "
            "--format JobID,State,JobName,NodeList,ExitCode,End",
        ),
        (
            slurm.sacct_command(["a"], since="2026-01-31T10:00:00", job_ids=["7", "8"]),
            "sacct --noheader --parsable2 --allocations --duplicates --jobs 7,8 "
            "--format JobID,State,JobName,NodeList,ExitCode,End",
        ),
        (slurm.requeue_command("7_1"), "scontrol requeue 7_1"),
        (slurm.hold_command(["7_1", "8"]), "scontrol hold 7_1,8"),
        (slurm.requeue_hold_command(["7_1"]), "scontrol requeuehold 7_1"),
        (slurm.release_command(["7", "8"]), "scontrol release 7,8"),
        (slurm.cancel_command(["7", "8_1"]), "scancel 7 8_1"),
        (slurm.exclude_command("7", ["n1", "n2"]), "scontrol update JobId=7 ExcNodeList=n1,n2"),
        (slurm.state_command("7_1"), "scontrol show job --oneliner 7_1"),
    ],
)
def test_commands(command, words):
    assert " ".join(command) == words


def test_the_state_of_one_job():
    said = "JobId=54814 JobName=rq-00000000deadbeef UserId=root(0) JobState=RUNNING Reason=None Dependency=(null)"
    assert slurm.parse_state(said) == "RUNNING"
    assert slurm.parse_state("slurm_load_jobs error: Invalid job id specified") == ""


def test_how_long_an_array_may_be():
    config = slurm.parse_config("Configuration data as of 2026\nMaxArraySize            = 4001\nMailProg = /a=b\n\n")
    assert slurm.array_size(config) == 4001
    assert config["MailProg"] == "/a=b"
    assert slurm.array_size({}) == 1001
    assert slurm.array_size({"MaxArraySize": "0"}) == 1


@pytest.mark.parametrize(
    ("states", "for_now"),
    [
        ("idle\nmixed\nallocated+\nidle~\n", False),
        ("idle\ndrained\n", True),
        ("down*\nidle\n", True),
        ("idle*\n", True),
        ("", False),
    ],
)
def test_a_refusal_may_be_for_now_where_a_node_is_away(states, for_now):
    answer = refused("allocation failure: Requested node configuration is not available")
    assert slurm.is_for_now(answer, states=states) is for_now
    assert not slurm.is_for_now(refused(REFUSED), states=states)
