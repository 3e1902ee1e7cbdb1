"""What a site's slurm.conf means for a sweep. Pure: `scontrol show config` as a mapping to findings."""

import re
from collections.abc import Mapping

from orchestrator.doctor.finding import Finding, Verdict
from orchestrator.host import slurm

SUBJECT = "SLURM"
KILL_WAIT_MIN_S = 10
CRED_EXPIRE_S = 120
"""SLURM's own cred_expire."""
JOB_AGE_MIN_S = 60
ARRAY_MIN = 100


def settings_findings(config: Mapping[str, str]) -> list[Finding]:
    """One finding per setting that a sweep feels."""
    return [
        _preemption(config),
        _user_signal(config),
        _kill_wait(config),
        _requeue(config),
        _requeue_delay(config),
        _limits(config),
        _array(config),
        _job_count(config),
        _job_age(config),
    ]


def seconds(config: Mapping[str, str], key: str, *, otherwise: int) -> int:
    """`30 sec` as 30."""
    match = re.match(r"\d+", config.get(key, ""))
    return int(match[0]) if match else otherwise


def sends_user_signal(config: Mapping[str, str]) -> bool:
    """Whether preemption sends the signal of --signal first. 22.05 and later have it in two places."""
    said = config.get("SlurmctldParameters", "") + "," + config.get("PreemptParameters", "")
    return bool({"preempt_send_user_signal", "send_user_signal"} & set(said.split(",")))


def kill_wait_s(config: Mapping[str, str]) -> int:
    """Between SIGTERM and SIGKILL."""
    return seconds(config, "KillWait", otherwise=30)


def has_accounting(config: Mapping[str, str]) -> bool:
    """Whether ends of jobs are kept anywhere."""
    return not config.get("AccountingStorageType", "none").endswith(("none", "(null)"))


def _line(name: str, value: str, means: str, *, warn: bool = False) -> Finding:
    return Finding(
        subject=SUBJECT, name=name, verdict=Verdict.WARNING if warn else Verdict.OK, value=value, means=means
    )


def _preemption(config: Mapping[str, str]) -> Finding:
    kind = config.get("PreemptType", "preempt/none").removeprefix("preempt/")
    if kind in ("none", "(null)"):
        return _line("PreemptType", "none", "no job has to give way to another")
    mode = config.get("PreemptMode", "OFF")
    return _line("PreemptType", f"{kind}, PreemptMode {mode}", "jobs may have to give way: see each partition")


def _user_signal(config: Mapping[str, str]) -> Finding:
    if sends_user_signal(config):
        return _line("preempt_send_user_signal", "yes", "a preempted trial hears USR2 and checkpoints at once")
    means = "a preempted trial hears SIGTERM instead of USR2 and checkpoints as well: nothing to do"
    return Finding(subject=SUBJECT, name="preempt_send_user_signal", verdict=Verdict.NOT_THERE, value="no", means=means)


def _kill_wait(config: Mapping[str, str]) -> Finding:
    has = kill_wait_s(config)
    if has >= KILL_WAIT_MIN_S:
        return _line("KillWait", f"{has} s", "a trial has this long between SIGTERM and SIGKILL to write a checkpoint")
    means = (
        "a checkpoint that takes longer than this between SIGTERM and SIGKILL is lost: lower"
        " resources.checkpoint_every_steps, or ask the site for a GraceTime"
    )
    return _line("KillWait", f"{has} s", means, warn=True)


def _requeue(config: Mapping[str, str]) -> Finding:
    allowed = config.get("JobRequeue", "1") != "0"
    means = "jobs are queued again" if allowed else "our jobs ask to be queued again (--requeue); `--canary` tries it"
    return _line("JobRequeue", "yes" if allowed else "no", means)


def _requeue_delay(config: Mapping[str, str]) -> Finding:
    match = re.search(r"cred_expire=(\d+)", config.get("AuthInfo", ""))
    delay = int(match[1]) if match else CRED_EXPIRE_S
    return _line(
        "cred_expire", f"{delay} s", f"a job that was requeued starts again after {delay + 1} s at the earliest"
    )


def _limits(config: Mapping[str, str]) -> Finding:
    value = config.get("EnforcePartLimits", "NO").upper()
    if value != "NO":
        return _line("EnforcePartLimits", value, "a job beyond a partition's limits is refused at once")
    means = "a job beyond a partition's limits is taken and waits for ever: `iwm status` shows its reason"
    return _line("EnforcePartLimits", value, means, warn=True)


def _array(config: Mapping[str, str]) -> Finding:
    size = slurm.array_size(dict(config))
    means = f"a sweep is cut into arrays of at most {size} jobs"
    return _line("MaxArraySize", str(size), means, warn=size < ARRAY_MIN)


def _job_count(config: Mapping[str, str]) -> Finding:
    count = config.get("MaxJobCount", "10000")
    return _line("MaxJobCount", count, "so many jobs of all users may be known to the controller at once")


def _job_age(config: Mapping[str, str]) -> Finding:
    age = seconds(config, "MinJobAge", otherwise=300)
    blind = age < JOB_AGE_MIN_S and not has_accounting(config)
    rest = ", nothing does afterwards: keep `iwm serve` running" if blind else ""
    means = f"squeue knows ended jobs for {age} s{rest}"
    return _line("MinJobAge", f"{age} s", means, warn=blind)
