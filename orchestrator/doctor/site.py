"""SLURM on this site: controller, accounting, settings, and sbatch's answers to minimal jobs."""

import re
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from orchestrator.doctor.finding import Finding, Verdict
from orchestrator.doctor.partitions import (
    NODES_COMMAND,
    PARTITIONS_COMMAND,
    node_findings,
    parse_nodes,
    parse_partitions,
    partition_finding,
    slurm_finding,
)
from orchestrator.host import provenance, slurm
from orchestrator.host.slurm import Answer

Ask = Callable[[Sequence[str]], Answer]
PING_COMMAND = ("scontrol", "ping")
NO_CLUSTER = ("could not establish a configuration source", "unable to process configuration file")
"""Errors of SLURM's commands on a machine that belongs to no cluster."""
PARTITIONS_MAX = 30
"""The most partitions that are tried with a minimal job."""
KILL_WAIT_MIN_S = 10
CRED_EXPIRE_S = 120
"""SLURM's own cred_expire."""
JOB_AGE_MIN_S = 60
ARRAY_MIN = 100


def examine_site(ask: Ask = slurm.run) -> list[Finding]:
    """The findings on SLURM; a single one if it is not installed or does not answer."""
    start = time.monotonic()
    ping = ask(PING_COMMAND)
    took_ms = (time.monotonic() - start) * 1000
    if not is_up(ping):
        return [_absence(ping)]
    answer = ask(slurm.config_command())
    if not answer.ok:
        return [_silent(answer.words)]
    config = slurm.parse_config(answer.out)
    partitions = parse_partitions(ask(PARTITIONS_COMMAND).out)
    refusals = {one.name: _refusal(one.name, ask=ask) for one in partitions[:PARTITIONS_MAX]}
    version = f"SLURM {config.get('SLURM_VERSION', '?')}, {took_ms:.0f} ms"
    return [
        slurm_finding("controller", Verdict.OK, version, "it answers"),
        _submission(ask, refusals=refusals),
        _accounting(ask, config),
        *node_findings(parse_nodes(ask(NODES_COMMAND).out)),
        *(
            partition_finding(
                one,
                others=partitions,
                preempt_type=config.get("PreemptType", "preempt/none"),
                kill_wait_s=kill_wait_s(config),
                refusal=refusals.get(one.name, ""),
            )
            for one in partitions
        ),
        *settings_findings(config),
    ]


def is_up(answer: Answer) -> bool:
    """Return True if one of the controllers is up; a backup may be down."""
    return any(line.rstrip().endswith("is UP") for line in answer.out.splitlines())


def _absence(ping: Answer) -> Finding:
    """The finding that SLURM cannot be queried, with the reason."""
    means = "sweeps run in this machine's slots: --launcher local"
    if ping.code == 127:
        return slurm_finding("SLURM", Verdict.NOT_THERE, "its commands are not installed here", means)
    if any(words in ping.err.lower() for words in NO_CLUSTER):
        return slurm_finding(
            "SLURM", Verdict.NOT_THERE, "SLURM is installed, but this machine belongs to no cluster", means
        )
    return _silent(" ".join(ping.out.split("\n")[0].split()) or ping.words)


def _silent(words: str) -> Finding:
    means = "no job can be submitted or followed until it answers; running jobs continue"
    return slurm_finding("controller", Verdict.FAILED, words, means)


def _refusal(partition: str, *, ask: Ask) -> str:
    """sbatch's answer to a one-minute job in this partition (empty name: the default one); empty if it accepts it."""
    with tempfile.TemporaryDirectory(prefix="iwm-") as folder:
        script = Path(folder) / "job.sh"
        script.write_text(smallest_job(partition))
        answer = ask(slurm.test_command(script))
    return "" if answer.ok else answer.words


def smallest_job(partition: str) -> str:
    """The script of a one-minute job in this partition; an empty name is the default one."""
    where = f"#SBATCH --partition={partition}\n" if partition else ""
    return f"#!/bin/sh\n#SBATCH --time=1\n#SBATCH --output=/dev/null\n{where}true\n"


def _submission(ask: Ask, *, refusals: Mapping[str, str]) -> Finding:
    """The finding on this user's right to submit, to the default partition or at least to one."""
    user, refusal = provenance.user(), _refusal("", ask=ask)
    if not refusal:
        means = "sbatch accepts a job that names neither partition nor account"
        return slurm_finding("submit", Verdict.OK, f"{user} may submit jobs", means)
    if open_ones := [name for name, words in refusals.items() if not words]:
        means = f"name a partition that accepts jobs, such as resources.partition={open_ones[0]}"
        return slurm_finding("submit", Verdict.WARNING, refusal, means)
    means = "set what your site requires (resources.partition, account, qos), or ask for permission to submit"
    return slurm_finding("submit", Verdict.FAILED, refusal, means)


def _accounting(ask: Ask, config: Mapping[str, str]) -> Finding:
    """The finding on sacct, and so on slurmdbd where there is one."""
    kind = config.get("AccountingStorageType", "none").rpartition("/")[2]
    if not has_accounting(config):
        means = "SLURM forgets how a job ended after MinJobAge: keep `iwm serve` running"
        return slurm_finding("sacct", Verdict.NOT_THERE, "no accounting", means)
    answer = ask(slurm.sacct_command([provenance.user()], since="now-1hour"))
    if answer.ok:
        return slurm_finding("sacct", Verdict.OK, f"answers ({kind})", "it records how every job ended")
    means = "trials continue; the exit states of jobs become known once it is back"
    return slurm_finding("sacct", Verdict.WARNING, f"{kind} does not answer: {answer.words}", means)


def seconds(config: Mapping[str, str], key: str, *, otherwise: int) -> int:
    """`30 sec` as 30."""
    match = re.match(r"\d+", config.get(key, ""))
    return int(match[0]) if match else otherwise


def sends_user_signal(config: Mapping[str, str]) -> bool:
    """Return True if preemption first sends the signal of --signal; the setting has two places since 22.05."""
    settings = config.get("SlurmctldParameters", "") + "," + config.get("PreemptParameters", "")
    return bool({"preempt_send_user_signal", "send_user_signal"} & set(settings.split(",")))


def kill_wait_s(config: Mapping[str, str]) -> int:
    """Seconds between SIGTERM and SIGKILL."""
    return seconds(config, "KillWait", otherwise=30)


def has_accounting(config: Mapping[str, str]) -> bool:
    """Return True if SLURM keeps how jobs ended."""
    return not config.get("AccountingStorageType", "none").endswith(("none", "(null)"))


def settings_findings(config: Mapping[str, str]) -> list[Finding]:
    """One finding per setting of slurm.conf that affects a sweep. Pure."""
    kind = config.get("PreemptType", "preempt/none").removeprefix("preempt/")
    preempts, signals, grace_s = kind not in ("none", "(null)"), sends_user_signal(config), kill_wait_s(config)
    cred_expire = re.search(r"cred_expire=(\d+)", config.get("AuthInfo", ""))
    delay_s = int(cred_expire[1]) if cred_expire else CRED_EXPIRE_S
    requeues, limits = config.get("JobRequeue", "1") != "0", config.get("EnforcePartLimits", "NO").upper()
    size, age_s = slurm.array_size(dict(config)), seconds(config, "MinJobAge", otherwise=300)
    forgets = age_s < JOB_AGE_MIN_S and not has_accounting(config)
    ok, warn = Verdict.OK, Verdict.WARNING
    rows = [
        (
            "PreemptType",
            ok,
            f"{kind}, PreemptMode {config.get('PreemptMode', 'OFF')}" if preempts else "none",
            "jobs may be preempted: see each partition" if preempts else "no job is preempted",
        ),
        (
            "preempt_send_user_signal",
            ok if signals else Verdict.NOT_THERE,
            "yes" if signals else "no",
            f"a preempted trial receives {'USR2' if signals else 'SIGTERM'} first and checkpoints at once",
        ),
        (
            "KillWait",
            warn if grace_s < KILL_WAIT_MIN_S else ok,
            f"{grace_s} s",
            "a checkpoint that takes longer than this between SIGTERM and SIGKILL is lost"
            + (
                ": lower resources.checkpoint_every_steps, or ask the site for a GraceTime"
                * (grace_s < KILL_WAIT_MIN_S)
            ),
        ),
        (
            "JobRequeue",
            ok,
            "yes" if requeues else "no",
            "jobs are requeued" if requeues else "our jobs ask to be requeued (--requeue); `--canary` tests it",
        ),
        ("cred_expire", ok, f"{delay_s} s", f"a requeued job starts again after {delay_s + 1} s at the earliest"),
        (
            "EnforcePartLimits",
            warn if limits == "NO" else ok,
            limits,
            "a job beyond a partition's limits is accepted but never starts: `iwm status` shows its reason"
            if limits == "NO"
            else "a job beyond a partition's limits is refused at once",
        ),
        (
            "MaxArraySize",
            warn if size < ARRAY_MIN else ok,
            f"{size}",
            f"a sweep is split into arrays of at most {size} jobs",
        ),
        (
            "MaxJobCount",
            ok,
            config.get("MaxJobCount", "10000"),
            "the maximum number of jobs in the queue, over all users",
        ),
        (
            "MinJobAge",
            warn if forgets else ok,
            f"{age_s} s",
            f"squeue lists ended jobs for {age_s} s"
            + (", and no accounting records them after that: keep `iwm serve` running" if forgets else ""),
        ),
    ]
    return [slurm_finding(*row) for row in rows]
