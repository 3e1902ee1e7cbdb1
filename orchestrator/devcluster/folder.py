"""A cluster's directory: claimed for one cluster, filled with its configuration files, opened again later.

Each setting of SLURM that took an experiment to find says why it is there.
"""

import json
import os
import pwd
import shlex
from dataclasses import asdict
from pathlib import Path

from orchestrator.devcluster.site import DEVICES, ClusterSpec, Site
from orchestrator.errors import RequestError

RECORD = "cluster.json"
FOLDERS = {"run": 0o755, "log": 0o755, "state": 0o755, "spool": 0o755, "db": 0o700}
EPILOG = """#!/bin/bash
# proctrack/linuxproc follows parents, so a process whose parent has died escapes it (cgroups would hold it)
for e in $(grep -lzsx "SLURM_JOB_ID=$SLURM_JOB_ID" /proc/[0-9]*/environ); do
  p=${e#/proc/}; p=${p%/environ}
  [ $p != $$ ] && grep -qzsx "SLURM_CONF=$SLURM_CONF" $e && grep -qzsx "SLURMD_NODENAME=$SLURMD_NODENAME" $e &&
    [ "$(cat /proc/$p/comm)" != slurmstepd ] && kill -9 $p
done
exit 0
"""
REPEATABLE = frozenset({"nodename", "partitionname"})
"""Keys of slurm.conf that may stand on several lines; upper and lower case are the same."""
LOOPBACK = "CommunicationParameters=NoInAddrAny,NoCtldInAddrAny"
"""Binds to the address of the host's name. Only if that is 127.0.0.1: srun hangs on 127.0.1.1."""
USER_SIGNAL = "SlurmctldParameters=preempt_send_user_signal"
"""Its name in 22.05, where PreemptParameters=send_user_signal is an error; newer versions read both."""
CGROUP = "CgroupPlugin=cgroup/v1\n"
"""slurmd loads the plugin even if nothing uses cgroups, and dies if it finds v2 without systemd."""


def make(spec: ClusterSpec, *, site: Site) -> None:
    """Claim a new or empty directory for this cluster.

    The record is written first, and exclusively: of two processes one is refused, and from then on `down` works.

    Raises:
        RequestError: the directory is not empty, another user's, or cannot be made.
    """
    here = site.directory
    try:
        here.mkdir(parents=True, exist_ok=True)
        _check_owner(here)
        if any(here.iterdir()):
            raise FileExistsError
        here.chmod(0o755)
        with open(here / RECORD, "x") as file:
            json.dump({"spec": asdict(spec), "site": {**asdict(site), "directory": str(here)}}, file)
        for name, mode in FOLDERS.items():
            (here / name).mkdir()
            (here / name).chmod(mode)
    except FileExistsError:
        way_out = f"end its cluster first: iwm cluster down --dir {shlex.quote(str(here))}"
        way_out = way_out if (here / RECORD).exists() else "choose another --dir"
        raise RequestError(f"{here} is not an empty directory; {way_out}", setting="dir", path=here) from None
    except OSError as error:
        message = f"{here}: {error.strerror or error}; choose another --dir"
        raise RequestError(message, setting="dir", path=here) from None


def fill(spec: ClusterSpec, *, site: Site) -> None:
    """Write every configuration file; SLURM finds the others beside slurm.conf."""
    for name, text, mode in (
        ("slurm.conf", slurm_conf(spec, site=site), 0o644),
        ("slurmdbd.conf", slurmdbd_conf(site), 0o600),
        ("gres.conf", gres_conf(spec), 0o644),
        ("epilog.sh", EPILOG, 0o755),
        ("plugstack.conf", "", 0o644),
        ("cgroup.conf", CGROUP, 0o644),
        ("munge.key", os.urandom(64).hex(), 0o400),
    ):
        with open(os.open(site.directory / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
            file.write(text)


def read(directory: Path) -> tuple[ClusterSpec, Site]:
    """The spec and site that `make` recorded.

    Raises:
        RequestError: the directory holds no cluster, a damaged record, or belongs to another user.
    """
    try:
        record = json.loads((directory / RECORD).read_text())
        _check_owner(directory)
        spec = ClusterSpec(**{**record["spec"], "settings": tuple(record["spec"]["settings"])})
        return spec, Site(**{**record["site"], "directory": directory})
    except OSError:
        message = f"no cluster in {directory}; start one with: iwm cluster up"
        raise RequestError(message, setting="dir", path=directory) from None
    except (ValueError, KeyError, TypeError) as error:
        message = f"{directory / RECORD} was not written by iwm cluster up: {error}"
        raise RequestError(message, path=directory / RECORD) from None


def _check_owner(directory: Path) -> None:
    """Another user's slurm.conf could run any command in our name."""
    owner = directory.stat().st_uid
    if owner == os.getuid():
        return
    try:
        name = pwd.getpwuid(owner).pw_name
    except KeyError:
        name = f"user {owner}"
    message = f"{directory} belongs to {name}, not to you; choose another --dir"
    raise RequestError(message, setting="dir", value=owner, path=directory)


def slurm_conf(spec: ClusterSpec, *, site: Site) -> str:
    """slurm.conf, with the spec's own settings in place of ours.

    Partitions: gpu and short are preempted and requeued, cancel is preempted and not requeued, urgent preempts them.
    """
    here, last_port = site.directory, site.first_node_port + spec.nodes - 1
    requeued = f"PriorityTier=1 PreemptMode=REQUEUE GraceTime={spec.grace_s}"
    text = f"""\
ClusterName=lab
SlurmctldHost=localhost(127.0.0.1)
SlurmUser={site.user}
SlurmdUser={site.user}
SlurmctldPort={site.controller_port}
AuthType=auth/munge
# cred_expire (default 120, minimum 5) also decides how long a requeued job is held back
AuthInfo=socket={site.munge_socket},cred_expire={spec.requeue_delay_s}
{LOOPBACK if site.loopback_only else ""}
StateSaveLocation={here}/state
SlurmdSpoolDir={here}/spool/%n
SlurmctldPidFile={here}/run/slurmctld.pid
SlurmdPidFile={here}/run/slurmd.%n.pid
SlurmctldDebug=verbose
SlurmdDebug=verbose
MailProg=/bin/true
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={site.accounting_port}
AccountingStoragePass={site.munge_socket}
AccountingStorageTRES=gres/gpu
ProctrackType=proctrack/linuxproc
Epilog={here}/epilog.sh
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
# without it a job that requests no memory takes a whole node
DefMemPerCPU=64
SchedulerParameters=sched_interval=1,bf_interval=1,bf_continue,batch_sched_delay=0,\
default_queue_depth=2000,bf_max_job_test=2000
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
{USER_SIGNAL if spec.user_signal else ""}
KillWait={spec.kill_wait_s}
MinJobAge=600
MaxJobCount=20000
MaxArraySize=4001
# random, so that files that submitit left for job 1 of an older cluster are not taken for a new job's
FirstJobId={site.first_job_id}
# a node offers the resources written here instead of this machine's
SlurmdParameters=config_overrides
SlurmdTimeout={spec.node_timeout_s}
# 2 would return a node that was set down by hand at once, and start its jobs beside their old copies
ReturnToService=1
GresTypes=gpu
NodeName=n[1-{spec.nodes}] NodeHostname=localhost NodeAddr=127.0.0.1 \
Port=[{site.first_node_port}-{last_port}] CPUs={spec.cpus} RealMemory={spec.memory_mb} \
Gres=gpu:{spec.gpus} State=UNKNOWN
PartitionName=gpu Nodes=ALL Default=YES MaxTime=INFINITE DefaultTime=60 {requeued}
PartitionName=short Nodes=ALL MaxTime=1 {requeued}
PartitionName=cancel Nodes=ALL MaxTime=INFINITE DefaultTime=60 \
PriorityTier=1 PreemptMode=CANCEL GraceTime={spec.grace_s}
PartitionName=urgent Nodes=ALL MaxTime=INFINITE DefaultTime=60 PriorityTier=10 PreemptMode=OFF
"""
    lines = text.splitlines()
    for setting in spec.settings:
        key = _key(setting)
        lines = [line for line in lines if key in REPEATABLE or _key(line) != key] + [setting]
    return "".join(line + "\n" for line in lines if line)


def _key(line: str) -> str:
    return "" if line.startswith("#") else line.partition("=")[0].lower()


def slurmdbd_conf(site: Site) -> str:
    """slurmdbd.conf: MariaDB through its socket (MYSQL_UNIX_PORT names it), so it needs no port and no password."""
    loopback = f"{LOOPBACK}\n" if site.loopback_only else ""
    return f"""\
AuthType=auth/munge
AuthInfo=socket={site.munge_socket}
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={site.accounting_port}
{loopback}SlurmUser={site.user}
PidFile={site.directory}/run/slurmdbd.pid
CommitDelay=1
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=slurm
"""


def gres_conf(spec: ClusterSpec) -> str:
    """gres.conf: each GPU is a character device, else CUDA_VISIBLE_DEVICES is not set."""
    gpu = f"NodeName=n[1-{spec.nodes}] Name=gpu File=/dev/{{}} Flags=nvidia_gpu_env\n"
    return "AutoDetect=off\n" + "".join(gpu.format(device) for device in DEVICES[: spec.gpus])
