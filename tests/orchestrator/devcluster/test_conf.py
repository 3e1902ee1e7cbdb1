"""The text of slurm.conf and its neighbours."""

from pathlib import Path

import pytest

from orchestrator.devcluster import ClusterSpec, conf
from orchestrator.devcluster.site import Site

GOLDEN = Path(__file__).parents[2] / "golden" / "devcluster"
SITE = Site(directory=Path("/tmp/lab"), user="ada", first_port=20000, first_job_id=4711, loopback_only=False)


def lines(**wanted):
    return conf.slurm_conf(ClusterSpec(**wanted), site=SITE).splitlines()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("slurm.conf", conf.slurm_conf(ClusterSpec(), site=SITE)),
        ("slurmdbd.conf", conf.slurmdbd_conf(SITE)),
        ("gres.conf", conf.gres_conf(ClusterSpec())),
    ],
)
def test_the_text_is_the_one_that_was_measured(name, text):
    assert text == (GOLDEN / name).read_text()


def test_a_setting_replaces_ours_whatever_its_case():
    assert [line for line in lines(settings=("killwait=9",)) if "killwait" in line.lower()] == ["killwait=9"]


def test_a_setting_that_we_lack_is_added():
    assert lines(settings=("EnforcePartLimits=ALL",))[-1] == "EnforcePartLimits=ALL"


def test_a_partition_of_one_s_own_stands_beside_ours():
    partitions = [line for line in lines(settings=("PartitionName=mine Nodes=n1",)) if line.startswith("Partition")]
    assert [line.split()[0].partition("=")[2] for line in partitions] == ["gpu", "short", "cancel", "urgent", "mine"]


def test_the_user_signal_is_off_unless_asked_for():
    assert conf.USER_SIGNAL not in lines()
    assert conf.USER_SIGNAL in lines(user_signal=True)


def test_only_a_host_whose_name_means_loopback_binds_to_its_name():
    loopback = Site(**{**SITE.__dict__, "loopback_only": True})
    assert conf.LOOPBACK not in conf.slurm_conf(ClusterSpec(), site=SITE)
    assert conf.LOOPBACK in conf.slurm_conf(ClusterSpec(), site=loopback)
    assert conf.LOOPBACK in conf.slurmdbd_conf(loopback)


def test_no_gpus_no_devices():
    assert conf.gres_conf(ClusterSpec(gpus=0)) == "AutoDetect=off\n"
