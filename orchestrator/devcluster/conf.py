"""The text of every configuration file of a cluster. Pure; each setting that took an experiment to find says why."""

from collections.abc import Sequence

from orchestrator.devcluster.site import Site
from orchestrator.devcluster.spec import DEVICES, ClusterSpec

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
"""Keys of slurm.conf that may stand on several lines (keys have no case)."""
LOOPBACK = "CommunicationParameters=NoInAddrAny,NoCtldInAddrAny"
"""Binds to the address of the host's name. Only where that is 127.0.0.1: srun hangs on 127.0.1.1."""

USER_SIGNAL = "SlurmctldParameters=preempt_send_user_signal"
"""Its name in 22.05, where PreemptParameters=send_user_signal is an error; newer ones read both."""

CGROUP = "CgroupPlugin=cgroup/v1\n"
"""slurmd looks for its plugin even where nothing asks for cgroups, and dies where it finds v2 without systemd."""


def slurm_conf(spec: ClusterSpec, *, site: Site) -> str:
    """slurm.conf, with the spec's own settings in place of ours."""
    lines = [*_daemons(spec, site), *_jobs(spec, site), *_nodes(spec, site), *_partitions(spec)]
    for setting in spec.settings:
        lines = _set(lines, setting)
    return "".join(line + "\n" for line in lines)


def _daemons(spec: ClusterSpec, site: Site) -> list[str]:
    here = site.directory
    return [
        "ClusterName=lab",
        "SlurmctldHost=localhost(127.0.0.1)",
        f"SlurmUser={site.user}",
        f"SlurmdUser={site.user}",
        f"SlurmctldPort={site.controller_port}",
        "AuthType=auth/munge",
        "# cred_expire (120 where nothing is said, at least 5) is also how long a requeued job is held back",
        f"AuthInfo=socket={site.munge_socket},cred_expire={spec.requeue_delay_s}",
        *([LOOPBACK] if site.loopback_only else []),
        f"StateSaveLocation={here}/state",
        f"SlurmdSpoolDir={here}/spool/%n",
        f"SlurmctldPidFile={here}/run/slurmctld.pid",
        f"SlurmdPidFile={here}/run/slurmd.%n.pid",
        "SlurmctldDebug=verbose",
        "SlurmdDebug=verbose",
        "MailProg=/bin/true",
        "AccountingStorageType=accounting_storage/slurmdbd",
        "AccountingStorageHost=127.0.0.1",
        f"AccountingStoragePort={site.accounting_port}",
        f"AccountingStoragePass={site.munge_socket}",
        "AccountingStorageTRES=gres/gpu",
    ]


def _jobs(spec: ClusterSpec, site: Site) -> list[str]:
    return [
        "ProctrackType=proctrack/linuxproc",
        f"Epilog={site.directory}/epilog.sh",
        "JobAcctGatherType=jobacct_gather/linux",
        "JobAcctGatherFrequency=task=1",
        "SelectType=select/cons_tres",
        "SelectTypeParameters=CR_CPU_Memory",
        "# without it a job that names no memory takes a whole node",
        "DefMemPerCPU=64",
        "SchedulerParameters=sched_interval=1,bf_interval=1,bf_continue,batch_sched_delay=0,"
        "default_queue_depth=2000,bf_max_job_test=2000",
        "PreemptType=preempt/partition_prio",
        "PreemptMode=REQUEUE",
        *([USER_SIGNAL] if spec.user_signal else []),
        f"KillWait={spec.kill_wait_s}",
        "MinJobAge=600",
        "MaxJobCount=20000",
        "MaxArraySize=4001",
        "# at random: the files that submitit left for job 1 of an older cluster must not be taken for a new job's",
        f"FirstJobId={site.first_job_id}",
    ]


def _nodes(spec: ClusterSpec, site: Site) -> list[str]:
    last_port = site.first_node_port + spec.nodes - 1
    return [
        "# a node offers what is written here, whatever this machine has",
        "SlurmdParameters=config_overrides",
        f"SlurmdTimeout={spec.node_timeout_s}",
        "# 2 would put a node that was downed by hand straight back, and its jobs beside their old copies",
        "ReturnToService=1",
        "GresTypes=gpu",
        f"NodeName=n[1-{spec.nodes}] NodeHostname=localhost NodeAddr=127.0.0.1 "
        f"Port=[{site.first_node_port}-{last_port}] CPUs={spec.cpus} RealMemory={spec.memory_mb} "
        f"Gres=gpu:{spec.gpus} State=UNKNOWN",
    ]


def _partitions(spec: ClusterSpec) -> list[str]:
    """gpu and short are preempted and requeued, cancel is preempted and not requeued; urgent preempts all three."""
    requeued = f"PriorityTier=1 PreemptMode=REQUEUE GraceTime={spec.grace_s}"
    return [
        f"PartitionName=gpu Nodes=ALL Default=YES MaxTime=INFINITE DefaultTime=60 {requeued}",
        f"PartitionName=short Nodes=ALL MaxTime=1 {requeued}",
        "PartitionName=cancel Nodes=ALL MaxTime=INFINITE DefaultTime=60 "
        f"PriorityTier=1 PreemptMode=CANCEL GraceTime={spec.grace_s}",
        "PartitionName=urgent Nodes=ALL MaxTime=INFINITE DefaultTime=60 PriorityTier=10 PreemptMode=OFF",
    ]


def _set(lines: Sequence[str], setting: str) -> list[str]:
    """Replaces the line of a key, or adds one."""
    key = _key(setting)
    return [line for line in lines if key in REPEATABLE or _key(line) != key] + [setting]


def _key(line: str) -> str:
    return "" if line.startswith("#") else line.partition("=")[0].lower()


def slurmdbd_conf(site: Site) -> str:
    """slurmdbd.conf: MariaDB through its socket (MYSQL_UNIX_PORT names it), so it needs no port and no password."""
    lines = [
        "AuthType=auth/munge",
        f"AuthInfo=socket={site.munge_socket}",
        "DbdHost=localhost",
        "DbdAddr=127.0.0.1",
        f"DbdPort={site.accounting_port}",
        *([LOOPBACK] if site.loopback_only else []),
        f"SlurmUser={site.user}",
        f"PidFile={site.directory}/run/slurmdbd.pid",
        "CommitDelay=1",
        "StorageType=accounting_storage/mysql",
        "StorageHost=localhost",
        "StorageUser=root",
        "StorageLoc=slurm",
    ]
    return "".join(line + "\n" for line in lines)


def gres_conf(spec: ClusterSpec) -> str:
    """gres.conf: each GPU is a character device, else CUDA_VISIBLE_DEVICES is not set."""
    gpus = [
        f"NodeName=n[1-{spec.nodes}] Name=gpu File=/dev/{device} Flags=nvidia_gpu_env\n"
        for device in DEVICES[: spec.gpus]
    ]
    return "AutoDetect=off\n" + "".join(gpus)
