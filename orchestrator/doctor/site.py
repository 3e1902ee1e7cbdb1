"""What SLURM offers here: asks the controller, the accounting and sbatch, and leaves the judging to pure functions."""

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from orchestrator.doctor.finding import Finding, Verdict
from orchestrator.doctor.partitions import (
    Partition,
    node_findings,
    nodes_command,
    parse_nodes,
    parse_partitions,
    partition_finding,
    partitions_command,
)
from orchestrator.doctor.settings import SUBJECT, has_accounting, kill_wait_s, settings_findings
from orchestrator.host import provenance, slurm
from orchestrator.host.slurm import Answer

Ask = Callable[[Sequence[str]], Answer]
NO_CLUSTER = ("could not establish a configuration source", "unable to process configuration file")
"""What SLURM's commands say on a machine that belongs to no cluster."""
PARTITIONS_MAX = 30
"""Partitions that are asked whether they take a job."""


def examine_site(ask: Ask = slurm.run) -> list[Finding]:
    """The findings on SLURM; a single one where it is not there or does not answer."""
    start = time.monotonic()
    ping = ask(ping_command())
    took_ms = (time.monotonic() - start) * 1000
    if absence := _absence(ping):
        return [absence]
    answer = ask(slurm.config_command())
    if not answer.ok:
        return [_silent(answer.words)]
    config = slurm.parse_config(answer.out)
    partitions = parse_partitions(ask(partitions_command()).out)
    refusals = {one.name: _refusal(one.name, ask=ask) for one in partitions[:PARTITIONS_MAX]}
    return [
        _line("controller", Verdict.OK, f"SLURM {config.get('SLURM_VERSION', '?')}, {took_ms:.0f} ms", "it answers"),
        _submission(ask, refusals=refusals),
        _accounting(ask, config),
        *node_findings(parse_nodes(ask(nodes_command()).out), subject=SUBJECT),
        *_partitions(partitions, config=config, refusals=refusals),
        *settings_findings(config),
    ]


def ping_command() -> list[str]:
    """Whether a controller answers."""
    return ["scontrol", "ping"]


def is_up(answer: Answer) -> bool:
    """Whether one of the controllers does; a backup may be down."""
    return any(line.rstrip().endswith("is UP") for line in answer.out.splitlines())


def _line(name: str, verdict: Verdict, value: str, means: str) -> Finding:
    return Finding(subject=SUBJECT, name=name, verdict=verdict, value=value, means=means)


def _absence(ping: Answer) -> Finding | None:
    """Why SLURM cannot be asked anything; None where it can."""
    if is_up(ping):
        return None
    means = "sweeps run in this machine's slots: --launcher local"
    if ping.code == 127:
        return _line("SLURM", Verdict.NOT_THERE, "its commands are not installed here", means)
    if any(words in ping.err.lower() for words in NO_CLUSTER):
        return _line("SLURM", Verdict.NOT_THERE, "installed, but this machine belongs to no cluster", means)
    return _silent(" ".join(ping.out.split("\n")[0].split()) or ping.words)


def _silent(words: str) -> Finding:
    means = "nothing can be submitted or followed until it answers; jobs that run go on"
    return _line("controller", Verdict.FAILED, words, means)


def _refusal(partition: str, *, ask: Ask) -> str:
    """What sbatch says against a minute of this partition (of the default one, where it has no name)."""
    with tempfile.TemporaryDirectory(prefix="iwm-") as folder:
        script = Path(folder) / "job.sh"
        script.write_text(smallest_job(partition))
        answer = ask(slurm.test_command(script))
    return "" if answer.ok else answer.words


def smallest_job(partition: str) -> str:
    """A script for a minute of this partition, of the default one where it has no name."""
    where = f"#SBATCH --partition={partition}\n" if partition else ""
    return f"#!/bin/sh\n#SBATCH --time=1\n#SBATCH --output=/dev/null\n{where}true\n"


def _submission(ask: Ask, *, refusals: Mapping[str, str]) -> Finding:
    """Whether this user may submit: to the default partition, or at least to some."""
    user, refusal = provenance.user(), _refusal("", ask=ask)
    if not refusal:
        return _line("submit", Verdict.OK, f"{user} may", "sbatch takes a job that names neither partition nor account")
    if open_ones := [name for name, words in refusals.items() if not words]:
        means = f"name a partition that takes jobs, such as resources.partition={open_ones[0]}"
        return _line("submit", Verdict.WARNING, refusal, means)
    means = "name what your site wants (resources.partition, account, qos), or ask it for the right to submit"
    return _line("submit", Verdict.FAILED, refusal, means)


def _accounting(ask: Ask, config: Mapping[str, str]) -> Finding:
    """Whether sacct answers, and so slurmdbd where there is one."""
    kind = config.get("AccountingStorageType", "none").rpartition("/")[2]
    if not has_accounting(config):
        means = "how a job ended is known for MinJobAge only: keep `iwm serve` running"
        return _line("sacct", Verdict.NOT_THERE, "no accounting", means)
    answer = ask(slurm.sacct_command([provenance.user()], since="now-1hour"))
    if answer.ok:
        return _line("sacct", Verdict.OK, f"answers ({kind})", "tells how every job ended, also long ago")
    means = "trials run on; how a job ended is concluded when it is back"
    return _line("sacct", Verdict.WARNING, f"{kind} does not answer: {answer.words}", means)


def _partitions(
    partitions: Sequence[Partition], *, config: Mapping[str, str], refusals: Mapping[str, str]
) -> list[Finding]:
    return [
        partition_finding(
            one,
            others=partitions,
            preempt_type=config.get("PreemptType", "preempt/none"),
            kill_wait_s=kill_wait_s(config),
            refusal=refusals.get(one.name, ""),
            subject=SUBJECT,
        )
        for one in partitions
    ]
