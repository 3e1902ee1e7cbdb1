"""SLURM's commands: a pure builder and a pure parser each, and one function that runs a command.

    answer = run(squeue_command(users))   ->   parse_squeue(answer.out)

If `Answer.ok` is False, nothing is known about any job. A line that cannot be parsed costs that line. Every call has
the same environment, whatever the caller's shell or job says about SLURM; times are in UTC.
"""

import calendar
import os
import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from iwm_core.training.place import numbers
from orchestrator.trial.events import Cause

TIMEOUT_S = 30.0
TOKEN = re.compile(r"-([0-9a-f]{16})$")
"""The end of a job's name: the fencing token of its leases."""
FOREIGN = ("SLURM_", "SBATCH_", "SRUN_", "SALLOC_", "SQUEUE_", "SACCT_", "SCONTROL_", "SINFO_", "SCANCEL_")
"""Prefixes of variables that change what a command does or prints: options of a shell, or of the job around us."""
SITE = ("SLURM_CONF", "SLURM_JWT", "SLURM_SACK_")
"""Prefixes of variables that say where the controller is and who asks."""
REQUEUED_HELD = "requeued held"
"""The end of the reason if SLURM holds a job that it could not start; the cause before it differs by version."""
HOLDS = ("JobHeld", "JobHoldMaxRequeue", "job requeued in held state", "launch failure limit exceeded", REQUEUED_HELD)
"""Parts of the reasons of held jobs; the third is what `requeuehold` gives in place of `JobHeldUser`."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The output of a command. `code` is 127 if there is no such command, 124 if it timed out."""

    code: int
    out: str
    err: str

    @property
    def ok(self) -> bool:
        """Return True if the command succeeded."""
        return self.code == 0

    @property
    def words(self) -> str:
        """Standard error on one line, without the program's name."""
        lines = [re.sub(r"^\w+: (error: |fatal: )?", "", line).strip() for line in self.err.splitlines()]
        return "; ".join(dict.fromkeys(line for line in lines if line)) or f"exit code {self.code}"


def run(command: Sequence[str], *, timeout_s: float = TIMEOUT_S) -> Answer:
    """Run a command to its end; a missing command and a timeout are answers, too."""
    env = environment(os.environ) | {"SLURM_BITSTR_LEN": "0", "TZ": "UTC"}  # array indices are not abbreviated
    try:
        done = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", timeout=timeout_s, check=False, env=env
        )
    except FileNotFoundError:
        return Answer(code=127, out="", err=f"{command[0]} is not installed here")
    except subprocess.TimeoutExpired:
        return Answer(code=124, out="", err=f"{command[0]} did not answer in {timeout_s:g} s")
    return Answer(code=done.returncode, out=done.stdout, err=done.stderr)


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment without `FOREIGN` variables, except those of the `SITE`."""
    return {key: value for key, value in environ.items() if not key.startswith(FOREIGN) or key.startswith(SITE)}


# Queued and past jobs.


@dataclass(frozen=True, kw_only=True)
class Job:
    """One job or one task of an array. `name` and `reason` are free text."""

    id: str
    state: str
    name: str = ""
    reason: str = ""
    node: str = ""
    exit_code: int = 0
    signal: int = 0
    ended_t: float = 0.0
    """When it ended, in unix seconds by the controller's clock; 0 if unknown."""

    @property
    def token(self) -> str:
        """The fencing token of its leases; empty if the job is not ours."""
        match = TOKEN.search(self.name)
        return match[1] if match else ""

    @property
    def index(self) -> int:
        """Its index in its array; 0 for a single job."""
        return int(self.id.partition("_")[2] or 0)

    @property
    def is_over(self) -> bool:
        """Return True for a job that has ended and will not be requeued."""
        return self.state in FINAL

    @property
    def is_held(self) -> bool:
        """Return True for a held job."""
        return self.state == "PENDING" and any(words in self.reason for words in HOLDS)

    @property
    def failed_to_launch(self) -> bool:
        """Return True if SLURM holds the job because it could not start it."""
        return self.is_held and REQUEUED_HELD in self.reason

    @property
    def cause(self) -> Cause:
        """Why it ended. The kernel also sends SIGKILL (9) when memory is short.

        SIGTERM (15) and SIGUSR2 (12) end a worker before its handlers are installed, in its first milliseconds.
        """
        if self.state in _CAUSES:
            return _CAUSES[self.state]
        codes = {self.signal, self.exit_code}
        return Cause.KILLED if 9 in codes else Cause.VANISHED if codes & {12, 15} else Cause.ERROR

    @property
    def sentence(self) -> str:
        """`NODE_FAIL on n2`, `FAILED 1:0 on n1`."""
        code = f" {self.exit_code}:{self.signal}" if self.exit_code or self.signal else ""
        return f"{self.state}{code}" + (f" on {self.node}" if self.node else "")


FINAL = frozenset({
    "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "REVOKED",
    "TIMEOUT",
})  # fmt: skip
_CAUSES = {
    "PREEMPTED": Cause.PREEMPTED,
    "REQUEUED": Cause.REQUEUED,
    "NODE_FAIL": Cause.NODE_FAIL,
    "BOOT_FAIL": Cause.NODE_FAIL,
    "TIMEOUT": Cause.TIMEOUT,
    "DEADLINE": Cause.TIMEOUT,
    "OUT_OF_MEMORY": Cause.OUT_OF_MEMORY,
    "COMPLETED": Cause.VANISHED,
    "CANCELLED": Cause.VANISHED,
    "PENDING": Cause.REQUEUED,
    "RUNNING": Cause.VANISHED,
}
_HELD_STATES = frozenset({"SPECIAL_EXIT", "REQUEUE_HOLD", "RESV_DEL_HOLD"})
"""States of held jobs in place of PENDING; 22.05 has only the first."""
_SQUEUE = ("%i", "%T", "%j", "%N", "%r", "%R")
_SACCT = ("JobID", "State", "JobName", "NodeList", "ExitCode", "End")
_ID = re.compile(r"\d+(_\d+)?(\+\d+)?")
_SECONDS = "%Y-%m-%dT%H:%M:%S"


def squeue_command(users: Sequence[str]) -> list[str]:
    """Every job of these users that the controller knows, ended ones included (for MinJobAge, 300 s by default)."""
    who = ["--user", ",".join(users)] if users else []
    return ["squeue", "--noheader", "--array", "--states=all", *who, "--format", "|".join(_SQUEUE)]


def parse_squeue(text: str) -> list[Job]:
    """One job per line; only the name may contain the separator.

    A job in one of `_HELD_STATES` becomes a held pending one. Newer versions write reasons with `_` for spaces.
    """
    jobs = []
    for line in text.splitlines():
        parts = line.split("|")
        if len(parts) < len(_SQUEUE) or not _ID.fullmatch(parts[0]):
            continue
        name = "|".join(parts[2 : len(parts) - 3])
        node, reason, long_reason = parts[-3], *(part.replace("_", " ") for part in parts[-2:])
        shown = reason if reason != "None" else ""
        if REQUEUED_HELD in long_reason and reason != long_reason.strip("()"):
            shown = f"{shown} {long_reason}"
        if parts[1] in _HELD_STATES and not any(words in shown for words in HOLDS):
            shown = f"JobHeld {shown}".strip()
        state = "PENDING" if parts[1] in _HELD_STATES else parts[1]
        jobs.append(Job(id=parts[0], state=state, name=name, node=node, reason=shown))
    return jobs


def exit_codes_command(users: Sequence[str]) -> list[str]:
    """The exit codes of failed jobs that the controller knows; the accounting has them only seconds later."""
    who = ["--user", ",".join(users)] if users else []
    return ["squeue", "--noheader", "--array", "--states=FAILED", *who, "--Format", "JobArrayID:40,exit_code:20"]


def parse_exit_codes(text: str) -> dict[str, tuple[int, int]]:
    """(exit code, signal) by job id, from wait(2)'s status; as in the accounting, a shell's 128 + n becomes n."""
    rows = (line.split() for line in text.splitlines())
    return {row[0]: code for row in rows if len(row) == 2 and (code := _exit_code(row[1]))}


def _exit_code(text: str) -> tuple[int, int] | None:
    """`768` until 22.05, `3:0` since 23.02."""
    first, colon, second = text.partition(":")
    if not (first.isdigit() and (second.isdigit() or not colon)):
        return None
    code, signal = (int(first), int(second)) if colon else (int(first) >> 8, int(first) & 0x7F)
    return code - 128 * (code > 128), signal


def sacct_command(users: Sequence[str], *, since: str, job_ids: Sequence[str] = ()) -> list[str]:
    """Every start of each of these users' jobs since a time (`2026-01-31T10:00:00`, UTC), from the accounting."""
    which = ["--jobs", ",".join(job_ids)] if job_ids else ["--user", ",".join(users), "--starttime", since]
    return ["sacct", "--noheader", "--parsable2", "--allocations", "--duplicates", *which, "--format", ",".join(_SACCT)]


def parse_sacct(text: str) -> list[Job]:
    """One entry per start of a job, oldest first. `CANCELLED by 1000` is CANCELLED."""
    jobs = []
    for row in (line.split("|") for line in text.splitlines()):
        if len(row) < len(_SACCT) or "." in row[0]:
            continue
        node, codes, end = row[-3:]
        code, signal = _exit_code(codes) or (0, 0)
        job = Job(
            id="",
            state=row[1].split(" ")[0],
            name="|".join(row[2:-3]),
            node="" if node == "None assigned" else node,
            exit_code=code,
            signal=signal,
            ended_t=_unix_s(end),
        )
        jobs += [replace(job, id=job_id) for job_id in _ids(row[0])]  # tasks that never started share a row
    return jobs


def _ids(text: str) -> list[str]:
    """`7` is 7; `7_[0-2,5%4]` is 7_0, 7_1, 7_2, 7_5."""
    array, bracket, indices = text.partition("_[")
    if not bracket:
        return [text]
    return [f"{array}_{index}" for index in numbers(indices.partition("%")[0])]


def _unix_s(text: str) -> float:
    """Unix seconds of a time in UTC; 0 for any other text, such as `Unknown`."""
    try:
        return calendar.timegm(time.strptime(text, _SECONDS))
    except ValueError:
        return 0.0


# Actions.


def requeue_command(job_id: str) -> list[str]:
    """Requeue a running job, which keeps its id."""
    return ["scontrol", "requeue", job_id]


def hold_command(job_ids: Sequence[str]) -> list[str]:
    """Hold pending jobs."""
    return ["scontrol", "hold", ",".join(job_ids)]


def requeue_hold_command(job_ids: Sequence[str]) -> list[str]:
    """Requeue running jobs and hold them."""
    return ["scontrol", "requeuehold", ",".join(job_ids)]


def release_command(job_ids: Sequence[str]) -> list[str]:
    """Release held jobs."""
    return ["scontrol", "release", ",".join(job_ids)]


def cancel_command(job_ids: Sequence[str]) -> list[str]:
    """Cancel jobs; SLURM sends SIGTERM, and SIGKILL after KillWait.

    By id alone: beside a filter such as --name, SLURM 22.05 takes a pending task's id for its whole array.
    """
    return ["scancel", *job_ids]


def exclude_command(job_id: str, nodes: Sequence[str]) -> list[str]:
    """Exclude nodes from a pending job."""
    return ["scontrol", "update", f"JobId={job_id}", f"ExcNodeList={','.join(nodes)}"]


def test_command(script: Path) -> list[str]:
    """Check whether SLURM accepts this job, without submitting it."""
    return ["sbatch", "--test-only", str(script)]


def state_command(job_id: str) -> list[str]:
    """Everything about one job."""
    return ["scontrol", "show", "job", "--oneliner", job_id]


def parse_state(text: str) -> str:
    """The state of the first job in the answer; empty if there is none."""
    match = re.search(r"JobState=(\w+)", text)
    return match[1] if match else ""


def parse_restarts(text: str) -> int:
    """Parse the number of requeues of the first job in the answer."""
    match = re.search(r"\bRestarts=(\d+)", text)
    return int(match[1]) if match else 0


# The site.


def nodes_command() -> list[str]:
    """The name of every node, once per partition."""
    return ["sinfo", "--noheader", "--Node", "--format", "%N"]


def config_command() -> list[str]:
    """The controller's configuration."""
    return ["scontrol", "show", "config"]


def parse_config(text: str) -> dict[str, str]:
    """`Key = value` lines."""
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {key.strip(): value.strip() for key, _, value in pairs}


def array_size(config: dict[str, str]) -> int:
    """Most tasks of an array: MaxArraySize; 1,001 is SLURM's default."""
    return max(1, int(config.get("MaxArraySize", "1001")))


def node_states_command() -> list[str]:
    """The state of every node, once per partition."""
    return ["sinfo", "--noheader", "--Node", "--format", "%T"]


def is_for_now(answer: Answer, *, states: str) -> bool:
    """Return True if `sbatch --test-only` may have refused because a node is down, for which sbatch itself waits."""
    away = [state for state in states.split() if "*" in state or state.rstrip("~#!%$@^+-") not in _PRESENT]
    return _UNAVAILABLE in answer.err and bool(away)


_UNAVAILABLE = "Requested node configuration is not available"
_PRESENT = frozenset({"allocated", "blocked", "completing", "idle", "mixed", "planned", "reserved"})


def is_refusal(answer: Answer) -> bool:
    """Return True if SLURM refused; False if it may not have been reached, after which the job may exist."""
    unreached = ("timed out", "unable to contact", "connection refused", "communication", "did not answer")
    return not answer.ok and not any(word in answer.err.lower() for word in unreached)
