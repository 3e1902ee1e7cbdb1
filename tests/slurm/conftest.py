"""A real SLURM for every test that requests it: `dev_cluster(nodes=2, grace_s=20)` or `dev_cluster()`.

Clusters of equal ClusterSpec are booted once and handed out again, reset: every daemon up, no job, every node idle.
If SLURM is not installed, these tests are skipped; under IWM_REQUIRE_SLURM=1 they fail.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.devcluster import ClusterSpec, DevCluster, daemons
from orchestrator.devcluster.cluster import FOREIGN_VARIABLES
from orchestrator.errors import RequestError
from orchestrator.records.layout import Layout
from tests.slurm.lab import Lab, Twins
from tests.slurm.pool import ClusterPool, end_all


@pytest.fixture(scope="session")
def cluster_pool() -> Iterator[ClusterPool]:
    """Ends the clusters when the session ends, however it ends."""
    pool = ClusterPool()
    yield pool
    pool.end()


@pytest.fixture(scope="session")
def slurm_installed() -> None:
    """Skips if SLURM is not installed; fails then under IWM_REQUIRE_SLURM=1."""
    try:
        daemons.check_installed(path=daemons.search_path())
    except RequestError as error:
        refuse = pytest.fail if os.environ.get("IWM_REQUIRE_SLURM") == "1" else pytest.skip
        refuse(str(error))


@pytest.fixture
def folder(slurm_installed: None) -> Iterator[Path]:
    """An empty folder with a short path, as sockets need it; clusters that are left in it are ended."""
    made = Path(tempfile.mkdtemp(prefix="iwm-", dir="/tmp"))
    yield made
    end_all(made)


@pytest.fixture
def dev_cluster(slurm_installed: None, cluster_pool: ClusterPool) -> Iterator[Callable[..., DevCluster]]:
    """Makes clusters: the keywords are those of ClusterSpec. Jobs that a test leaves behind are cancelled."""
    in_use: set[ClusterSpec] = set()

    def make(**wanted: object) -> DevCluster:
        spec = ClusterSpec(**wanted)  # type: ignore[arg-type]
        in_use.add(spec)
        return cluster_pool.get(spec, in_use=in_use)

    yield make
    for used in filter(None, map(cluster_pool.alive, in_use)):
        used.cancel_jobs()


@pytest.fixture(scope="session")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Twins:
    """What trials end with when nothing disturbs them; the workers of one run share them."""
    base = tmp_path_factory.getbasetemp()
    return Twins((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "twins")


@pytest.fixture
def new_lab(
    dev_cluster: Callable[..., DevCluster], twins: Twins, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Lab]:
    """Makes a root beside a cluster; this process and its children use the newest cluster."""

    def make(**wanted: object) -> Lab:
        cluster = dev_cluster(**wanted)
        for variable in [name for name in os.environ if name.startswith(FOREIGN_VARIABLES)]:
            monkeypatch.delenv(variable)
        for variable in ("MLFLOW_TRACKING_URI", "IWM_DATABASE_URL", "IWM_STATE", "IWM_ROOT"):
            monkeypatch.delenv(variable, raising=False)
        monkeypatch.setenv("SLURM_CONF", cluster.env["SLURM_CONF"])
        monkeypatch.setenv("PATH", cluster.env["PATH"])
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        return Lab(cluster, Layout.of(folder / "runs", environ={}), twins)

    return make
