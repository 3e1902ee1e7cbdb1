"""DevCluster: brings a cluster up and down, crashes and starts its daemons, and runs SLURM's commands in it."""

import json
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from orchestrator.devcluster import binaries, conf, daemons, overview, processes
from orchestrator.devcluster.processes import Identity
from orchestrator.devcluster.spec import ClusterSpec, Site, checked_directory
from orchestrator.errors import ClusterError, RequestError

RECORD = "cluster.json"
FOLDERS = ("run", "log", "state", "spool", "db")
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
        cluster = cls(spec, _new_site(directory, spec))
        cluster._make_directory()
        try:
            cluster._write_files()
            cluster.start(*cluster.names)
        except BaseException:
            cluster.down(keep=True)
            raise
        return cluster

    @classmethod
    def at(cls, directory: Path) -> "DevCluster":
        """The cluster that lives in this directory; a RequestError where there is none."""
        directory = directory.expanduser().resolve()
        try:
            record = json.loads((directory / RECORD).read_text())
            spec = ClusterSpec(**{**record["spec"], "settings": tuple(record["spec"]["settings"])})
            return cls(spec, Site(**{**record["site"], "directory": directory}))
        except OSError:
            raise RequestError(f"no cluster in {directory}; iwm cluster up starts one") from None
        except (ValueError, KeyError, TypeError) as error:
            raise RequestError(f"{directory / RECORD} is not what iwm cluster up wrote: {error}") from None

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
        if check and done.returncode:
            words = " ".join((done.stderr.strip() or done.stdout.strip()).split())
            raise ClusterError(f"{' '.join(command)}: exit code {done.returncode}: {words}")
        return done.stdout

    def pid(self, name: str) -> int | None:
        """A daemon's pid; None where it does not run."""
        identity = Identity.read(self.directory / "run" / f"{name}.id")
        return identity.pid if identity and identity.alive else None

    def start(self, *names: str) -> None:
        """Starts those of these daemons that do not run, and waits until they answer."""
        wanted = daemons.chosen(self.spec, names=names)
        for name in wanted:
            if self.pid(name) is None:
                self._start(name)
        for name in wanted:
            if name not in daemons.SERVICES:
                self._wait_for(name, lambda name=name: overview.is_up(self._node_state(name)))

    def crash(self, *names: str) -> None:
        """SIGKILLs these daemons, without a word to anybody; a node takes its steps and job processes with it."""
        for name in daemons.chosen(self.spec, names=names):
            self._kill(name)

    def down(self, *, keep: bool = False) -> None:
        """Ends every process of the cluster and deletes its directory; `keep` saves the state and leaves the files."""
        for name in ("slurmctld", "slurmdbd") if keep else ():
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
        self.start(*self.spec.node_names)
        for node in overview.parse_nodes(self.run(*overview.NODES_COMMAND)):
            if node.state not in ("idle", "completing", "mixed", "allocated"):
                self.run("scontrol", "update", f"NodeName={node.name}", "State=RESUME", check=False)
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
        parts = [
            *(f"{name} is down" for name in status.down),
            *(f"job {job.id} is {job.state}" for job in status.jobs),
            *(f"{node.name} is {node.state}" for node in status.nodes if node.state != "idle"),
        ]
        return ", ".join(parts) if parts or status.nodes else "slurmctld does not answer"

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
            self._wait_for(name, lambda: _answers(door))
        if name == "mariadbd" and not (self.directory / "db" / "mysql").exists():
            self.run(*daemons.system_tables(binaries.SYSTEM_TABLES, site=self.site))

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

    def _make_directory(self) -> None:
        """The record first, and exclusively: of two who come at once one is refused, and `down` works from then on."""
        record = {"spec": asdict(self.spec), "site": {**asdict(self.site), "directory": str(self.directory)}}
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            if any(self.directory.iterdir()):
                known = (self.directory / RECORD).exists()
                raise RequestError(f"{self.directory} is not empty" + (": run iwm cluster down first" if known else ""))
            self.directory.chmod(0o755)
            with open(self.directory / RECORD, "x") as file:
                json.dump(record, file)
            for name in FOLDERS:
                (self.directory / name).mkdir()
            (self.directory / "db").chmod(0o700)
        except OSError as error:
            raise RequestError(f"{self.directory}: {error.strerror or error}; choose another --dir") from None

    def _write_files(self) -> None:
        for name, text, mode in (
            ("slurm.conf", conf.slurm_conf(self.spec, site=self.site), 0o644),
            ("slurmdbd.conf", conf.slurmdbd_conf(self.site), 0o600),
            ("gres.conf", conf.gres_conf(self.spec), 0o644),
            ("epilog.sh", conf.EPILOG, 0o755),
            ("plugstack.conf", "", 0o644),
            ("munge.key", os.urandom(64).hex(), 0o400),
        ):
            with open(os.open(self.directory / name, os.O_WRONLY | os.O_CREAT, mode), "w") as file:
                file.write(text)


def _new_site(directory: Path, spec: ClusterSpec) -> Site:
    return Site(
        directory=directory,
        user=_user(),
        first_port=_free_ports(spec.nodes + 2),
        first_job_id=random.randrange(1000, 60000),
        loopback_only=_is_loopback(),
    )


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        raise RequestError(f"user {os.getuid()} has no name on this machine, and SLURM needs one") from None


def _is_loopback() -> bool:
    """Whether this machine's name means 127.0.0.1."""
    try:
        return socket.gethostbyname(socket.gethostname()) == "127.0.0.1"
    except OSError:
        return False


def _free_ports(count: int) -> int:
    """The first of so many free ports in a row, below the ephemeral range, so that no client can sit on one later."""
    for _ in range(200):
        first, held = random.randrange(15000, 32000 - count), []
        try:
            for port in range(first, first + count):
                held.append(socket.socket())
                held[-1].bind(("127.0.0.1", port))
            return first
        except OSError:
            continue
        finally:
            for taken in held:
                taken.close()
    raise ClusterError(f"no {count} free ports in a row between 15000 and 32000")


def _answers(door: Path | int) -> bool:
    family = socket.AF_INET if isinstance(door, int) else socket.AF_UNIX
    with socket.socket(family) as client:
        return client.connect_ex(("127.0.0.1", door) if isinstance(door, int) else str(door)) == 0
