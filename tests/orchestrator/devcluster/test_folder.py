"""A cluster's directory is claimed once, filled with configuration files, and opened again."""

import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.devcluster import ClusterSpec, DevCluster, folder
from orchestrator.errors import RequestError
from tests.orchestrator.devcluster.conftest import SITE

GOLDEN = Path(__file__).parents[2] / "golden" / "devcluster"
SPEC = ClusterSpec(nodes=2, settings=("KillWait=9",))


@pytest.fixture
def site():
    """In a directory that does not exist yet."""
    parent = Path(tempfile.mkdtemp(prefix="iwm-", dir="/tmp"))
    yield replace(SITE, directory=parent / "lab")
    shutil.rmtree(parent)


def test_what_was_made_is_read_again(site):
    folder.make(SPEC, site=site)
    assert folder.read(site.directory) == (SPEC, site)
    assert DevCluster.at(site.directory).names[-1] == "n2"


def test_secrets_are_for_the_owner_alone_whatever_the_umask(site):
    before = os.umask(0)
    try:
        folder.make(SPEC, site=site)
        folder.fill(SPEC, site=site)
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in site.directory.iterdir()}
    assert (modes["munge.key"], modes["slurmdbd.conf"], modes["db"]) == (0o400, 0o600, 0o700)
    assert (modes["slurm.conf"], modes["epilog.sh"], modes["state"]) == (0o644, 0o755, 0o755)


def refused(action, *, path):
    with pytest.raises(RequestError) as caught:
        action()
    assert caught.value.path == path
    return caught.value


def test_a_directory_is_claimed_once(site):
    folder.make(SPEC, site=site)
    error = refused(lambda: folder.make(SPEC, site=site), path=site.directory)
    assert f"iwm cluster down --dir {site.directory}" in str(error)


def test_a_directory_with_other_files_is_refused(site):
    site.directory.mkdir()
    (site.directory / "thesis.tex").touch()
    for action in (lambda: folder.make(SPEC, site=site), lambda: folder.read(site.directory)):
        error = refused(action, path=site.directory)
        assert error.setting == "dir"
        assert "iwm cluster down" not in str(error)
    assert (site.directory / "thesis.tex").exists()


def test_a_file_in_the_way_is_refused(site):
    site.directory.touch()
    refused(lambda: folder.make(SPEC, site=site), path=site.directory)


def test_a_damaged_record_is_refused(site):
    site.directory.mkdir()
    (site.directory / folder.RECORD).write_text('{"spec": {}}')
    refused(lambda: folder.read(site.directory), path=site.directory / folder.RECORD)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a directory away")
def test_another_user_s_directory_is_refused(site):
    folder.make(SPEC, site=site)
    os.chown(site.directory, 65534, 65534)
    assert refused(lambda: folder.read(site.directory), path=site.directory).value == 65534


def lines(**wanted):
    return folder.slurm_conf(ClusterSpec(**wanted), site=SITE).splitlines()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("slurm.conf", folder.slurm_conf(ClusterSpec(), site=SITE)),
        ("slurmdbd.conf", folder.slurmdbd_conf(SITE)),
        ("gres.conf", folder.gres_conf(ClusterSpec())),
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
    assert folder.USER_SIGNAL not in lines()
    assert folder.USER_SIGNAL in lines(user_signal=True)


def test_only_a_host_whose_name_means_loopback_binds_to_its_name():
    loopback = replace(SITE, loopback_only=True)
    assert folder.LOOPBACK not in folder.slurm_conf(ClusterSpec(), site=SITE)
    assert folder.LOOPBACK in folder.slurm_conf(ClusterSpec(), site=loopback)
    assert folder.LOOPBACK in folder.slurmdbd_conf(loopback)


def test_no_gpus_no_devices():
    assert folder.gres_conf(ClusterSpec(gpus=0)) == "AutoDetect=off\n"
