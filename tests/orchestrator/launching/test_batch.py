"""Cells to classes, classes to arrays, arrays to what sbatch is told."""

from dataclasses import replace

import pytest

from orchestrator.errors import RequestError
from orchestrator.launching.batch import (
    OURS,
    ArraySubmission,
    by_class,
    cut,
    gpus_per_node,
    options,
    ranks,
    sbatch_parameters,
)
from orchestrator.trial.sweep import Resources

ALWAYS = [
    "export IWM_CLAIM=0123456789abcdef",
    "export SLURM_EXPORT_ENV=ALL",
    '[ -z "$SLURM_CPUS_PER_TASK" ] || export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK',
]
BATCH = ArraySubmission(token="0123456789abcdef", name="depth", resources=Resources(), tasks=(("a", "b"), ("c",)))


def parameters(*, avoid=(), **resources):
    batch = replace(BATCH, resources=Resources(**resources))
    return sbatch_parameters(batch, root="/runs", avoid=avoid)


def test_a_batch_survives_its_file():
    asked = replace(BATCH, resources=Resources(mem_gb=1.5, setup="a\nb", exclude="n1"))
    assert ArraySubmission.from_json(asked.to_json()) == asked
    assert asked.job_name == "depth-0123456789abcdef"
    assert asked.index == {"a": 0, "b": 0, "c": 1}


def test_a_batch_of_another_version_is_read():
    text = BATCH.to_json().replace(b'"slots"', b'"a_resource_of_tomorrow"')
    assert ArraySubmission.from_json(text) == BATCH


def test_equal_resources_share_an_array():
    small, large = Resources(mem_gb=1), Resources(mem_gb=2)
    wanted = {"a": small, "b": large, "c": replace(small)}
    assert by_class(wanted, resources=wanted.__getitem__) == {small: ["a", "c"], large: ["b"]}


@pytest.mark.parametrize(
    ("items", "size", "parts"),
    [("", 3, []), ("abc", 3, ["abc"]), ("abcd", 3, ["abc", "d"]), ("abc", 1, ["a", "b", "c"]), ("ab", 9, ["ab"])],
)
def test_cut(items, size, parts):
    assert list(cut(items, size)) == parts


def test_what_is_not_asked_for_is_the_site_s():
    assert parameters() == {
        "job_name": "depth-0123456789abcdef",
        "time": 60,
        "nodes": 1,
        "ntasks_per_node": 1,
        "gpus_per_node": 1,
        "array_parallelism": 2,
        "signal_delay_s": 90,
        "wckey": None,
        "setup": ALWAYS,
        "additional_parameters": {"requeue": True, "chdir": "/runs"},
    }


def test_what_is_asked_for_is_said():
    said = parameters(
        partition="gpu", qos="high", account="lab", constraint="a100", time_limit_min=5, nodes=2, gpus_per_node=2,
        cpus_per_gpu=3, mem_gb=0.5, max_parallel=1, signal_before_s=30, setup="module load cuda\nulimit -c 0",
        srun_args="--container-image='my image'", sbatch_args="--reservation=spring --exclusive --comment='two words'",
    )  # fmt: skip
    asked = {"partition": "gpu", "qos": "high", "account": "lab", "constraint": "a100", "time": 5, "nodes": 2}
    assert said | asked == said
    assert (said["gpus_per_node"], said["ntasks_per_node"], said["cpus_per_task"]) == (2, 2, 3)
    assert said["mem"] == "512M"
    assert (said["array_parallelism"], said["signal_delay_s"]) == (1, 30)
    assert said["setup"] == [*ALWAYS, "export MASTER_ADDR=$(hostname)", "module load cuda", "ulimit -c 0"]
    assert said["srun_args"] == ["--kill-on-bad-exit=1", "--container-image=my image"]
    extra = {"requeue": True, "chdir": "/runs", "reservation": "spring", "exclusive": True, "comment": "two words"}
    assert said["additional_parameters"] == extra


def test_nodes_that_failed_are_excluded_beside_the_person_s_own():
    assert parameters(avoid=["n2", "n1"], exclude="n1")["exclude"] == "n1,n2"
    assert "exclude" not in parameters()


@pytest.mark.parametrize(
    ("resources", "gpus", "tasks", "cpus", "together"),
    [
        (Resources(cpus_per_gpu=4), 1, 1, 4, 1),
        (Resources(cpus_per_gpu=4, device="cpu"), 0, 1, 4, 1),
        (Resources(cpus_per_gpu=4, device="cpu", nodes=3), 0, 1, 4, 3),
        (Resources(cpus_per_gpu=4, device="cpu", gpus_per_node=2), 2, 2, 4, 2),
        (Resources(cpus_per_gpu=4, gpus_per_node=8, nodes=2), 8, 8, 4, 16),
        (Resources(cpus_per_gpu=4, gpus_per_node=2, trials_per_gpu=3), 2, 1, 8, 1),
        (Resources(cpus_per_gpu=4, gpus_per_node=0), 0, 1, 4, 1),
    ],
)
def test_a_gpu_is_a_rank_with_processors_of_its_own(resources, gpus, tasks, cpus, together):
    said = sbatch_parameters(replace(BATCH, resources=resources), root="/")
    assert (gpus_per_node(resources), said.get("gpus_per_node", 0)) == (gpus, gpus)
    assert (said["ntasks_per_node"], said["cpus_per_task"], ranks(resources)) == (tasks, cpus, together)


@pytest.mark.parametrize(("text", "found"), [("", {}), ("--a", {"a": True}), ("--a=b=c --d=", {"a": "b=c", "d": ""})])
def test_options(text, found):
    assert options(text) == found


@pytest.mark.parametrize("text", ["-a", "a=b", "--", "--=b", "--a 'b"])
def test_options_that_are_none(text):
    with pytest.raises(RequestError) as caught:
        options(text)
    assert caught.value.setting == "resources.sbatch_args"


@pytest.mark.parametrize("option", OURS)
def test_options_that_are_set_for_every_job_are_refused(option):
    for word in (f"--{option}=x", f"--{option}", f"--{option.replace('-', '_')}=x"):
        with pytest.raises(RequestError) as caught:
            options(word)
        assert (caught.value.setting, caught.value.value) == ("resources.sbatch_args", word)


@pytest.mark.parametrize(("word", "setting"), [("--arr=0-3", ""), ("--part=gpu", "resources.partition")])
def test_sbatch_would_take_an_option_that_is_cut_short(word, setting):
    with pytest.raises(RequestError) as caught:
        options(f"--exclusive {word}")
    assert caught.value.value == word
    assert setting in str(caught.value)


def test_a_quote_that_is_not_closed():
    with pytest.raises(RequestError) as caught:
        parameters(srun_args="'")
    assert (caught.value.setting, caught.value.value) == ("resources.srun_args", "'")
