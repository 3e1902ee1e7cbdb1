"""Where a result comes from."""

import subprocess

from orchestrator.host import provenance


def test_packages_and_platform():
    told = provenance.provenance()
    assert told["packages"]["torch"]
    assert set(told) == {"commit", "dirty", "core_sha256", "packages", "python", "platform"}


def test_commit_and_changes_of_a_checkout(tmp_path):
    def git(*words):
        subprocess.run(["git", "-c", "user.name=n", "-c", "user.email=e", *words], cwd=tmp_path, check=True)

    git("init", "-q")
    (tmp_path / "a").write_text("1")
    git("add", "a")
    git("commit", "-qm", "one")
    clean = provenance.code_version(tmp_path)
    assert len(clean["commit"]) == 40
    assert not clean["dirty"]
    (tmp_path / "a").write_text("2")
    assert provenance.code_version(tmp_path) == {"commit": clean["commit"], "dirty": True}


def test_outside_a_checkout(tmp_path):
    assert provenance.code_version(tmp_path) == {"commit": "", "dirty": False}
