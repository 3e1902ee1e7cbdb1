"""What SLURM prints about partitions and nodes, and what it means."""

from dataclasses import replace

import pytest

from orchestrator.doctor.finding import Verdict
from orchestrator.doctor.partitions import (
    Nodes,
    Partition,
    is_preemptible,
    minutes,
    node_findings,
    parse_nodes,
    parse_partitions,
    partition_finding,
)

PARTITIONS = (
    "PartitionName=gpu AllowGroups=ALL AllowAccounts=ALL AllowQos=ALL AllocNodes=ALL Default=YES QoS=N/A "
    "DefaultTime=01:00:00 DisableRootJobs=NO ExclusiveUser=NO GraceTime=5 Hidden=NO MaxNodes=UNLIMITED "
    "MaxTime=UNLIMITED MinNodes=0 LLN=NO MaxCPUsPerNode=UNLIMITED Nodes=n[1-2] PriorityJobFactor=1 PriorityTier=1 "
    "RootOnly=NO ReqResv=NO OverSubscribe=NO OverTimeLimit=NONE PreemptMode=REQUEUE State=UP TotalCPUs=8 TotalNodes=2 "
    "SelectTypeParameters=NONE JobDefaults=(null) DefMemPerNode=UNLIMITED MaxMemPerNode=UNLIMITED "
    "TRES=cpu=8,mem=32000M,node=2,billing=8,gres/gpu=4\n"
    "PartitionName=urgent Default=NO GraceTime=0 MaxTime=1-12:00:00 PriorityTier=10 PreemptMode=OFF State=DRAIN "
    "TotalNodes=2 TRES=cpu=8,mem=32000M,node=2,billing=8\n\n"
)
GPU = Partition(
    name="gpu", is_default=True, state="UP", max_minutes=None, preempt_mode="REQUEUE", grace_s=5, priority_tier=1,
    nodes=2, gpus=4,
)  # fmt: skip
URGENT = Partition(
    name="urgent", is_default=False, state="DRAIN", max_minutes=2160, preempt_mode="OFF", grace_s=0, priority_tier=10,
    nodes=2, gpus=0,
)  # fmt: skip


def test_partitions_are_read():
    assert parse_partitions(PARTITIONS) == [GPU, URGENT]
    assert parse_partitions("No partitions in the system\n") == []


@pytest.mark.parametrize(
    ("text", "value"),
    [("UNLIMITED", None), ("NONE", None), ("00:01:00", 1), ("01:00:00", 60), ("2-03:00:30", 3061), ("30:00", 30)],
)
def test_time_limits(text, value):
    assert minutes(text) == value


def judged(partition, *, others=(GPU, URGENT), preempt_type="preempt/partition_prio", refusal=""):
    return partition_finding(partition, others=others, preempt_type=preempt_type, kill_wait_s=30, refusal=refusal)


def test_a_preemptible_partition():
    found = judged(GPU)
    assert (found.name, found.verdict) == ("partition gpu*", Verdict.OK)
    assert found.value == "2 nodes, 4 GPUs, no time limit, preempted by REQUEUE, grace 5 s"
    assert "35 s" in found.means


@pytest.mark.parametrize(
    ("changes", "verdict", "said"),
    [
        ({"preempt_mode": "CANCEL"}, Verdict.WARNING, "resubmit"),
        ({"preempt_mode": "GANG,SUSPEND"}, Verdict.OK, "suspended in place"),
        ({"max_minutes": 1}, Verdict.WARNING, "time_limit_min=1"),
        ({"state": "INACTIVE"}, Verdict.WARNING, "INACTIVE"),
        ({"preempt_mode": "OFF"}, Verdict.OK, "until their time limit"),
    ],
)
def test_what_a_partition_means(changes, verdict, said):
    found = judged(replace(GPU, **changes))
    assert found.verdict is verdict
    assert said in found.means


def test_a_refusal_is_told_in_sbatch_s_words():
    found = judged(GPU, refusal="Invalid account")
    assert found.verdict is Verdict.WARNING
    assert "Invalid account" in found.means


def test_who_gives_way():
    assert is_preemptible(GPU, others=[GPU, URGENT], preempt_type="preempt/partition_prio")
    assert not is_preemptible(GPU, others=[GPU], preempt_type="preempt/partition_prio")
    assert not is_preemptible(URGENT, others=[GPU, URGENT], preempt_type="preempt/partition_prio")
    assert is_preemptible(GPU, others=[GPU], preempt_type="preempt/qos")
    assert not is_preemptible(GPU, others=[GPU, URGENT], preempt_type="preempt/none")


def test_nodes_and_their_gpus():
    text = "2|idle|gpu:2\n1|down*|gpu:a100:8(S:0-1)\n3|mixed-|gpu:h100:4,shard:8\n1|idle*|(null)\n\n"
    groups = parse_nodes(text)
    assert groups[0] == Nodes(2, "idle", "gpu:2")
    assert [group.usable for group in groups] == [True, False, True, False]
    nodes, gpus = node_findings(groups)
    assert (nodes.verdict, nodes.value) == (Verdict.OK, "2 idle, 1 down*, 3 mixed-, 1 idle*")
    assert nodes.means.startswith("5 ")
    assert gpus.value == "4 gpu, 8 a100, 12 h100"


def test_no_node_to_run_on():
    nodes, gpus = node_findings(parse_nodes("4|drained|(null)\n"))
    assert (nodes.verdict, gpus.verdict) == (Verdict.FAILED, Verdict.NOT_THERE)
