"""Clusters for tests: booted on first use, kept for the next test, ended however the tests end."""

import contextlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from orchestrator.devcluster import ClusterSpec, DevCluster
from orchestrator.errors import ClusterError, RequestError

AT_ONCE = 2
"""Idle clusters kept for a later test with the same spec; each takes 190 MB."""
ROOT = Path(__file__).parents[2]
GUARD = """
import sys
from pathlib import Path
from tests.slurm.pool import end_all
sys.stdin.read()
end_all(Path(sys.argv[1]))
"""


class ClusterPool:
    """Boots clusters, keeps a few, ends them all.

    If this process is killed, a guard in a session of its own does the same at the end of its input.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="iwm-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.kept: dict[ClusterSpec, DevCluster] = {}
        self.booted = 0
        command = [sys.executable, "-c", GUARD, str(self.folder)]
        self.guard = subprocess.Popen(command, stdin=subprocess.PIPE, cwd=ROOT, start_new_session=True)

    def get(self, spec: ClusterSpec, *, in_use: set[ClusterSpec]) -> DevCluster:
        """The cluster of this spec, reset; booted if there is none."""
        if ready := self.alive(spec):
            try:
                ready.reset()
                return ready
            except ClusterError:
                self.drop(spec)
        idle = [old for old in self.kept if old not in in_use]
        for old in idle[: max(0, len(self.kept) - AT_ONCE + 1)]:
            self.drop(old)
        self.booted += 1
        self.kept[spec] = DevCluster.up(self.folder / str(self.booted), spec=spec)
        return self.kept[spec]

    def alive(self, spec: ClusterSpec) -> DevCluster | None:
        """The cluster of this spec, unless a test has taken it down."""
        cluster = self.kept.get(spec)
        return cluster if cluster and cluster.directory.exists() else None

    def drop(self, spec: ClusterSpec) -> None:
        """Take a cluster down."""
        if cluster := self.alive(spec):
            cluster.down()
        del self.kept[spec]

    def end(self) -> None:
        """Take every cluster down, and end the guard."""
        end_all(self.folder)
        self.guard.communicate()


def end_all(folder: Path) -> None:
    """Take down every cluster in a folder, even one that did not come up; delete the folder."""
    for left in folder.iterdir() if folder.exists() else ():
        with contextlib.suppress(RequestError):
            DevCluster.at(left).down()
    shutil.rmtree(folder, ignore_errors=True)
