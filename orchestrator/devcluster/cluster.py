"""DevCluster: brings a cluster up and down, crashes and starts its daemons, and runs SLURM's commands in it."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from orchestrator.devcluster import binaries, daemons, folder, overview, processes
from orchestrator.devcluster.processes import Identity
from orchestrator.devcluster.site import Site, answers, checked_directory, new_site
from orchestrator.devcluster.spec import ClusterSpec
from orchestrator.errors import ClusterError

STRANGE_VARIABLES = ("SLURM", "SBATCH_", "SQUEUE_", "SACCT_", "SINFO_", "SCANCEL_", "SALLOC_")
"""What another cluster, or a job of one, may have left in the environment."""
ANSWER_S = 30
START_S = 60
POLL_S = 0.03


@dataclass(frozen=True)
class DevCluster:
    """One cluster, running or not: its directory holds everything about it, so any process may open it.

    with DevCluster.up(directory, spec=ClusterSpec(nodes=2)) as cluster:
        cluster.run("sbatch", "--wrap", "hostname")
        cluster.crash("n1")
        cluster.start("n1")
        cluster.wait_idle()
    """

    spec: ClusterSpec
    site: Site

    @classmethod
    def up(cls, directory: Path, *, spec: ClusterSpec | None = None) -> "DevCluster":
        """Boots a cluster in a new or empty directory.

        RequestError: something is not installed, or the directory does not suit. ClusterError: a daemon did not come
        up; nothing is left running, and the logs stay.
        """
        spec = spec or ClusterSpec()
        directory = checked_directory(directory)
        binaries.require(path=binaries.search_path())
        cluster = cls(spec, new_site(directory, nodes=spec.nodes))
        folder.make(spec, site=cluster.site)
        try:
            folder.fill(spec, site=cluster.site)
            cluster.start(*cluster.names)
        except BaseException:
            cluster.down(keep=True)
            raise
        return cluster

    @classmethod
    def at(cls, directory: Path) -> "DevCluster":
        """The cluster that lives in this directory; a RequestError where there is none."""
        spec, site = folder.read(directory.expanduser().resolve())
        return cls(spec, site)

    def __enter__(self) -> "DevCluster":
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    @property
    def directory(self) -> Path:
        """Where everything lies."""
        return self.site.directory

    @property
    def names(self) -> tuple[str, ...]:
        """The daemons in the order in which they start: munged, mariadbd, slurmdbd, slurmctld, n1, n2, ..."""
        return daemons.daemon_names(self.spec)

    @property
    def env(self) -> dict[str, str]:
        """A whole environment for child processes: this process's, turned to this cluster (SLURM_CONF, PATH)."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(STRANGE_VARIABLES)}
        return {**kept, "PATH": binaries.search_path(), "SLURM_CONF": str(self.site.slurm_conf)}

    def run(self, *command: str, check: bool = True, timeout_s: float = ANSWER_S) -> str:
        """Runs one of SLURM's commands and returns its standard output.

        A failure is a ClusterError with the command's own words; without `check` it is whatever was printed.
        """
        try:
            done = subprocess.run(
                command,
                env=self.env,
                text=True,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            if not check:
                return ""
            raise ClusterError(f"{command[0]}: no answer in {timeout_s} s") from None
        except FileNotFoundError:
            raise ClusterError(f"{command[0]}: no such program") from None
        if check and done.returncode:
            words = " ".join((done.stderr.strip() or done.stdout.strip()).split())
            raise ClusterError(f"{' '.join(command)}: exit code {done.returncode}: {words}")
        return done.stdout

    def pid(self, name: str) -> int | None:
        """A daemon's pid; None where it does not run."""
        identity = Identity.read(self.directory / "run" / f"{name}.id")
        return identity.pid if identity and identity.alive else None

    def start(self, *names: str) -> None:
        """Starts those of these daemons that do not run, and waits until they answer.

        A node answers through slurmctld; where that does not run, nobody waits for nodes.
        """
        absent = [name for name in daemons.chosen(self.spec, names=names) if self.pid(name) is None]
        for name in absent:
            self._start(name)
        for name in absent if self.pid("slurmctld") else ():
            if name not in daemons.SERVICES:
                self._wait_for(name, lambda name=name: overview.is_up(self._node_state(name)))

    def crash(self, *names: str) -> None:
        """SIGKILLs these daemons, without a word to anybody; a node takes its steps and job processes with it."""
        for name in daemons.chosen(self.spec, names=names):
            self._kill(name)

    def down(self, *, keep: bool = False) -> None:
        """Ends every process of the cluster and deletes its directory; `keep` saves the state and leaves the files."""
        for name in ("slurmctld", "slurmdbd", "mariadbd") if keep else ():
            self._end_politely(name)
        self._kill()
        if not keep:
            shutil.rmtree(self.directory)

    def status(self) -> overview.Overview:
        """Daemons, nodes and jobs."""
        pids = {name: self.pid(name) for name in self.names}
        if pids["slurmctld"] is None or pids["munged"] is None:
            return overview.Overview(self.directory, pids)
        nodes = overview.parse_nodes(self.run(*overview.NODES_COMMAND, check=False))
        return overview.Overview(self.directory, pids, nodes, self._jobs())

    def wait_idle(self, timeout_s: float = 60) -> None:
        """Waits until every node is idle and no job is queued or running; a ClusterError says what was still there."""
        deadline = time.monotonic() + timeout_s
        while busy := self._busy():
            if time.monotonic() > deadline:
                raise ClusterError(f"the cluster is not idle after {timeout_s} s: {busy}")
            time.sleep(0.1)

    def reset(self) -> None:
        """Back to the beginning but for job ids and history: every daemon up, no job, every node idle.

        Configuration that `scontrol update` changed stays changed, but for the state of nodes.
        """
        self.start(*daemons.SERVICES)
        self.cancel_jobs()
        for node in overview.parse_nodes(self.run(*overview.NODES_COMMAND)):
            if overview.is_out(node.state):
                self.run("scontrol", "update", f"NodeName={node.name}", "State=RESUME", check=False)
        self.start(*self.spec.node_names)
        self.wait_idle()

    def cancel_jobs(self) -> None:
        """Cancels every job and SIGKILLs what runs in it, so that nothing waits for KillWait."""
        if self.pid("slurmctld") and (jobs := self._jobs()):
            self.run("scancel", *sorted({job.id.partition("_")[0] for job in jobs}), check=False)
        processes.kill(lambda: processes.job_processes(self.directory))

    def _jobs(self) -> tuple[overview.Job, ...]:
        return overview.parse_jobs(self.run(*overview.JOBS_COMMAND, check=False))

    def _node_state(self, name: str) -> str:
        return self.run("sinfo", "-hN", "-o", "%T", "-n", name, check=False)

    def _busy(self) -> str:
        """What keeps the cluster from being idle."""
        status = self.status()
        return ", ".join(status.busy)

    def _start(self, name: str) -> None:
        door = daemons.door(name, site=self.site)
        log = self.directory / "log" / f"{name}.out"
        markers = {processes.CLUSTER: str(self.directory), processes.DAEMON: name}
        env = {**self.env, **markers, "MYSQL_UNIX_PORT": str(self.site.database_socket)}
        identity = processes.spawn(
            daemons.command(name, site=self.site), env=env, folder=self.directory / "log", log=log
        )
        identity.write(self.directory / "run" / f"{name}.id")
        if door is not None:
            self._wait_for(name, lambda: answers(door))
        if name == "mariadbd" and not (self.directory / "db" / "mysql").exists():
            self.run(*daemons.system_tables(binaries.SYSTEM_TABLES, site=self.site))
            self.run(*daemons.checkpoint(self.site), check=False)

    def _wait_for(self, name: str, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_S
        while not ready():
            if time.monotonic() > deadline or self.pid(name) is None:
                log = self.directory / "log" / f"{name}.out"
                raise ClusterError(f"{name} did not come up: {overview.complaint(log.read_text())} ({log})")
            time.sleep(POLL_S)

    def _end_politely(self, name: str) -> None:
        """SIGTERM, under which it saves its state."""
        deadline = time.monotonic() + 3
        while (pid := self.pid(name)) and time.monotonic() < deadline:
            processes.send([pid], signal.SIGTERM)
            time.sleep(0.2)

    def _kill(self, name: str | None = None) -> None:
        processes.kill(lambda: processes.members(self.directory, daemon=name))
        for daemon in self.names if name is None else (name,):
            if identity := Identity.read(self.directory / "run" / f"{daemon}.id"):
                processes.reap(identity.pid)
