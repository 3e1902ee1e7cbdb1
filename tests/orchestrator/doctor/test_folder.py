"""What a folder can do, and that looking leaves nothing behind."""

import os

import pytest

from orchestrator.doctor.finding import Verdict
from orchestrator.doctor.folder import examine_folder, file_system, fsync_ms, scratch


def test_a_folder_that_does_everything(tmp_path):
    found = {one.name: one for one in examine_folder(tmp_path, shared=False)}
    for name in ("folder", "exclusive create", "hard link", "rename", "flock", "clock"):
        assert found[name].verdict is Verdict.OK, found[name]
    assert {"fsync", "space"} < set(found)
    assert not list(tmp_path.iterdir())


def test_a_root_that_is_not_there_yet_stays_away(tmp_path):
    examine_folder(tmp_path / "far" / "runs", shared=False)
    assert not list(tmp_path.iterdir())


def test_a_root_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    (line,) = examine_folder(tmp_path / "file", shared=False)
    assert line.verdict is Verdict.FAILED
    assert "--root" in line.means


def test_a_scratch_folder_goes_although_something_went_wrong(tmp_path):
    with pytest.raises(RuntimeError), scratch(tmp_path / "runs"):
        raise RuntimeError
    assert not list(tmp_path.iterdir())


MOUNTS = r"""22 27 0:21 / / rw,relatime - ext4 /dev/vda1 rw
23 22 0:22 / /home rw,relatime shared:1 - nfs4 server:/home rw
24 22 0:23 / /with\040space rw - lustre x rw
"""


@pytest.mark.parametrize(
    ("path", "kind"), [("/home/me/runs", "nfs4"), ("/homeless", "ext4"), ("/with space/runs", "lustre"), ("/", "ext4")]
)
def test_kinds_of_file_systems(tmp_path, path, kind):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    assert file_system(type(tmp_path)(path), mounts=mounts) == kind
    assert file_system(tmp_path, mounts=tmp_path / "none") == ""


def test_one_machine_s_own_disk_is_no_place_for_a_cluster(tmp_path):
    found = {one.name: one for one in examine_folder(tmp_path, shared=True)}
    kind = file_system(tmp_path)
    assert found["folder"].verdict is (Verdict.WARNING if kind in ("ext4", "overlay", "tmpfs", "xfs") else Verdict.OK)


def test_fsync_takes_some_time(tmp_path):
    assert fsync_ms(tmp_path, times=3) > 0
    assert os.listdir(tmp_path) == ["journal"]
