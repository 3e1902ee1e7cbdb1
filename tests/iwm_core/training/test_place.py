import pytest

from iwm_core.config import TrainConfig
from iwm_core.errors import ConfigError
from iwm_core.training.place import Place, check_batch, first_host, node_names

TORCHRUN = {
    "RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "MASTER_ADDR": "n1", "MASTER_PORT": "29501",
    "TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_RESTART_COUNT": "2",
}  # fmt: skip
SRUN = {
    "SLURM_PROCID": "3", "SLURM_STEP_NUM_TASKS": "4", "SLURM_LOCALID": "1", "SLURM_JOB_NODELIST": "gpu[07-09,12]",
    "SLURM_JOB_ID": "40123", "SLURM_NTASKS": "4",
}  # fmt: skip


def test_torchrun_says_where_a_process_stands():
    told = Place(rank=3, ranks=4, local_rank=1, host="n1", port=29501, agent=True, round="2")
    assert Place.of(TORCHRUN) == Place.of({**SRUN, **TORCHRUN}) == told


def test_srun_says_where_a_process_stands():
    told = Place.of(SRUN)
    assert (told.rank, told.ranks, told.local_rank, told.host, told.port) == (3, 4, 1, "gpu07", 20123)
    again = Place.of({**SRUN, "SLURM_RESTART_COUNT": "1", "MASTER_ADDR": "10.0.0.1"})
    assert (again.host, again.port, again.round) == ("10.0.0.1", 21132, "1")


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"RANK": "0", "WORLD_SIZE": "1"},
        {"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1"},
        {"SLURM_PROCID": "0", "SLURM_NTASKS": "4", "SLURM_JOB_NODELIST": "n1"},  # the shell of a batch script
    ],
)
def test_a_process_that_nobody_placed_is_alone(environ):
    assert Place.of(environ) == Place()


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("n1", "n1"),
        ("n1,n2", "n1"),
        ("gpu[07-09,12]", "gpu07"),
        ("a-[3,5],b", "a-3"),
        ("", ""),
        ("r[1-2]n[3-4]-ib", "r1n3-ib"),
    ],
)
def test_the_first_host(nodes, first):
    assert first_host(nodes) == first


@pytest.mark.parametrize(("ranks", "accumulate", "multiple"), [(3, 1, 3), (2, 3, 6), (1, 0, 1)])
def test_a_batch_that_cannot_be_dealt_out_is_refused(ranks, accumulate, multiple):
    with pytest.raises(ConfigError) as caught:
        check_batch(TrainConfig(batch_size=64, accumulate=accumulate), ranks=ranks)
    assert (caught.value.setting, caught.value.value) == ("train.batch_size", 64)
    assert str(caught.value).endswith(f" {multiple}")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ""),
        ("n1", "n1"),
        ("n1,n2", "n1 n2"),
        ("gpu[07-09,12],login", "gpu07 gpu08 gpu09 gpu12 login"),
        ("r[1-2]n[3,5]-ib", "r1n3-ib r1n5-ib r2n3-ib r2n5-ib"),
        ("a[9-11]", "a9 a10 a11"),
    ],
)
def test_names_in_brackets_are_a_list(text, names):
    assert node_names(text) == names.split()
