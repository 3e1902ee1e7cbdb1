"""A missing program names the package that has it."""

import pytest

from orchestrator.devcluster import binaries
from orchestrator.errors import RequestError


@pytest.fixture
def programs(tmp_path):
    """A folder with every program, and a file with MariaDB's tables beside it."""
    for name in binaries.PACKAGES:
        (tmp_path / name).touch(mode=0o755)
    (tmp_path / "tables.sql").touch()
    return tmp_path


def test_all_there(programs):
    binaries.require(path=str(programs), tables=programs / "tables.sql")


def test_what_is_missing_is_told_in_one_line(programs):
    for name in ("munged", "sbatch", "scontrol"):
        (programs / name).unlink()
    with pytest.raises(RequestError) as refused:
        binaries.require(path=str(programs), tables=programs / "tables.sql")
    assert str(refused.value) == (
        "a SLURM cluster needs what is not installed: munged (munge), sbatch (slurm-client), scontrol (slurm-client); "
        "on Debian: apt-get install -y munge slurm-client"
    )


def test_the_tables_of_mariadb_are_needed_too(programs):
    tables = programs / "none.sql"
    assert binaries.missing(path=str(programs), tables=tables) == {str(tables): "mariadb-server"}


def test_the_path_finds_daemons_for_everybody():
    assert binaries.search_path("/usr/bin:/bin") == "/usr/bin:/bin:/usr/sbin:/sbin"
    assert binaries.search_path("/usr/sbin:/sbin:/bin") == "/usr/sbin:/sbin:/bin"
    assert binaries.search_path("") == "/usr/sbin:/sbin"
