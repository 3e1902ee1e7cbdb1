"""A cluster's directory is taken once, filled, and opened again."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from orchestrator.devcluster import ClusterSpec, DevCluster, folder
from orchestrator.devcluster.site import Site
from orchestrator.errors import RequestError

SPEC = ClusterSpec(nodes=2, settings=("KillWait=9",))


@pytest.fixture
def site():
    """In a directory that does not exist yet."""
    parent = Path(tempfile.mkdtemp(prefix="iwm-", dir="/tmp"))
    yield Site(directory=parent / "lab", user="ada", first_port=20000, first_job_id=4711, loopback_only=False)
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


def test_a_directory_is_taken_once(site):
    folder.make(SPEC, site=site)
    with pytest.raises(RequestError, match="not empty; end what is there first: iwm cluster down"):
        folder.make(SPEC, site=site)


def test_a_directory_with_something_else_in_it(site):
    site.directory.mkdir()
    (site.directory / "thesis.tex").touch()
    with pytest.raises(RequestError, match="not empty; choose another --dir"):
        folder.make(SPEC, site=site)
    with pytest.raises(RequestError, match="no cluster in"):
        folder.read(site.directory)
    assert (site.directory / "thesis.tex").exists()


def test_a_file_in_the_way(site):
    site.directory.touch()
    with pytest.raises(RequestError, match="is taken; choose another --dir"):
        folder.make(SPEC, site=site)


def test_a_record_that_is_not_ours(site):
    site.directory.mkdir()
    (site.directory / folder.RECORD).write_text('{"spec": {}}')
    with pytest.raises(RequestError, match="not what iwm cluster up wrote"):
        folder.read(site.directory)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a directory away")
def test_somebody_else_s_directory_is_left_alone(site):
    folder.make(SPEC, site=site)
    os.chown(site.directory, 65534, 65534)
    with pytest.raises(RequestError, match=r"belongs to .*, not to you"):
        folder.read(site.directory)
