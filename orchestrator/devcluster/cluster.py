"""DevCluster: boots and ends a cluster, crashes and starts its daemons, and runs SLURM's commands in it."""

import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from orchestrator.devcluster import daemons, folder, overview, processes
from orchestrator.devcluster.processes import Identity
from orchestrator.devcluster.site import ClusterSpec, Site, answers, checked_directory, new_site
from orchestrator.errors import ClusterError

FOREIGN_VARIABLES = ("SLURM", "SBATCH_", "SQUEUE_", "SACCT_", "SINFO_", "SCANCEL_", "SALLOC_")
"""Prefixes of variables that another cluster, or a job of one, may have left in the environment."""
ANSWER_S = 30
START_S = 60
POLL_S = 0.03


@dataclass(frozen=True)
class DevCluster:
    """One cluster, running or not. Everything about it is in its directory, so any process may open it.

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
        """Boot a cluster in a new or empty directory.

        Raises:
            RequestError: a program is not installed, or the directory is unsuitable.
            ClusterError: a daemon did not come up; nothing is left running, and the logs are kept.
        """
        spec = spec or ClusterSpec()
        directory = checked_directory(directory)
        daemons.check_installed(path=daemons.search_path())
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
        """The cluster in this directory.

        Raises:
            RequestError: no cluster there.
        """
        return cls(*folder.read(directory.expanduser().resolve()))

    def __enter__(self) -> "DevCluster":
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    @property
    def directory(self) -> Path:
        """The folder of all its files."""
        return self.site.directory

    @property
    def names(self) -> tuple[str, ...]:
        """The daemons in the order in which they start: munged, mariadbd, slurmdbd, slurmctld, n1, n2, ..."""
        return tuple(daemons.daemons(self.spec, site=self.site))

    @property
    def env(self) -> dict[str, str]:
        """This process's environment, in which SLURM_CONF and PATH select this cluster."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN_VARIABLES)}
        return {**kept, "PATH": daemons.search_path(), "SLURM_CONF": str(self.site.slurm_conf)}

    def run(self, *command: str, check: bool = True, timeout_s: float = ANSWER_S) -> str:
        """Run one of SLURM's commands and return its standard output, with `check=False` even if it fails.

        Raises:
            ClusterError: the command failed or did not end in time; with its own words.
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
            raise ClusterError(f"{command[0]} did not answer within {timeout_s} s", value=command[0]) from None
        except FileNotFoundError:
            raise ClusterError(f"{command[0]} is not installed", value=command[0]) from None
        if check and done.returncode:
            words = " ".join((done.stderr.strip() or done.stdout.strip()).split())
            raise ClusterError(f"{shlex.join(command)}: exit code {done.returncode}: {words}", value=done.returncode)
        return done.stdout

    def pid(self, name: str) -> int | None:
        """A daemon's pid; None if it is down."""
        identity = Identity.read(self.directory / "run" / f"{name}.id")
        return identity.pid if identity and identity.alive else None

    def start(self, *names: str) -> None:
        """Start those of these daemons that are down, and wait until they answer.

        Nodes answer through slurmctld, so they are not waited for while that is down.

        Raises:
            RequestError: there is no daemon of that name.
            ClusterError: a daemon did not come up.
        """
        absent = [name for name in daemons.chosen(self.names, names=names) if self.pid(name) is None]
        for name in absent:
            self._start(name)
        for name in absent if self.pid("slurmctld") else ():
            if name in self.spec.node_names:
                state = partial(self.run, "sinfo", "-hN", "-o", "%T", "-n", name, check=False)
                self._wait_for(name, lambda state=state: overview.is_up(state()))

    def crash(self, *names: str) -> None:
        """SIGKILL these daemons; a node takes its steps and job processes with it.

        Raises:
            RequestError: there is no daemon of that name.
        """
        for name in daemons.chosen(self.names, names=names):
            self._kill(name)

    def down(self, *, keep: bool = False) -> None:
        """End every process of the cluster and delete its directory; `keep` saves the state and keeps the files."""
        for name in ("slurmctld", "slurmdbd", "mariadbd") if keep else ():
            deadline = time.monotonic() + 3
            while (pid := self.pid(name)) and time.monotonic() < deadline:
                processes.send([pid], signal.SIGTERM)  # on which it saves its state
                time.sleep(0.2)
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
        """Wait until every node is idle and no job is queued or running.

        Raises:
            ClusterError: the cluster is still busy after `timeout_s`; `value` has the reasons.
        """
        deadline = time.monotonic() + timeout_s
        while busy := self.status().busy:
            if time.monotonic() > deadline:
                raise ClusterError(f"the cluster is not idle after {timeout_s} s: {', '.join(busy)}", value=busy)
            time.sleep(0.1)

    def reset(self) -> None:
        """Restore every daemon, cancel all jobs and wait until every node is idle; job ids and history go on.

        Configuration that `scontrol update` changed stays changed, except for the state of nodes.
        """
        self.start(*(name for name in self.names if name not in self.spec.node_names))
        self.cancel_jobs()
        for node in overview.parse_nodes(self.run(*overview.NODES_COMMAND)):
            if overview.is_out(node.state):
                self.run("scontrol", "update", f"NodeName={node.name}", "State=RESUME", check=False)
        self.start(*self.spec.node_names)
        self.wait_idle()

    def cancel_jobs(self) -> None:
        """Cancel every job and SIGKILL its processes, without waiting for KillWait."""
        if self.pid("slurmctld") and (jobs := self._jobs()):
            self.run("scancel", *sorted({job.id.partition("_")[0] for job in jobs}), check=False)
        processes.kill(lambda: processes.job_processes(self.directory))

    def _jobs(self) -> tuple[overview.Job, ...]:
        return overview.parse_jobs(self.run(*overview.JOBS_COMMAND, check=False))

    def _start(self, name: str) -> None:
        daemon = daemons.daemons(self.spec, site=self.site)[name]
        logs = self.directory / "log"
        markers = {processes.CLUSTER: str(self.directory), processes.DAEMON: name}
        env = {**self.env, **markers, "MYSQL_UNIX_PORT": str(self.site.database_socket)}
        identity = processes.spawn(daemon.command, env=env, folder=logs, log=logs / f"{name}.out")
        identity.write(self.directory / "run" / f"{name}.id")
        if (door := daemon.door) is not None:
            self._wait_for(name, lambda: answers(door))
        if name == "mariadbd" and not (self.directory / "db" / "mysql").exists():
            sql = ("mariadb", "--no-defaults", f"--socket={self.site.database_socket}", "-e")
            # in place of mariadb-install-db (3 s): slurmdbd's stored procedure needs mysql.proc; and slurmdbd 24.11
            # dies at its first start if it has to make its own database ("Number of columns")
            tables = f"create database slurm; create database mysql; use mysql; source {daemons.SYSTEM_TABLES};"
            self.run(*sql, tables)
            # write InnoDB's first page to disk: killed before that, MariaDB never starts again
            self.run(*sql, "set global innodb_log_checkpoint_now=1", check=False)

    def _wait_for(self, name: str, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_S
        while not ready():
            if time.monotonic() > deadline or self.pid(name) is None:
                log = self.directory / "log" / f"{name}.out"
                message = f"{name} did not start: {overview.error_summary(log.read_text())} ({log})"
                raise ClusterError(message, value=name, path=log)
            time.sleep(POLL_S)

    def _kill(self, name: str | None = None) -> None:
        processes.kill(lambda: processes.members(self.directory, daemon=name))
        for daemon in self.names if name is None else (name,):
            if identity := Identity.read(self.directory / "run" / f"{daemon}.id"):
                processes.reap(identity.pid)
