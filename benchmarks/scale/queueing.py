"""On a real SLURM in a box: submitting, submitting again, one look at many live jobs, and others' ways beside ours.

No job runs: each is to begin in an hour, so what is measured is the way into the queue and nothing else.
"""

import contextlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

from benchmarks.scale.bench import TREE, Bench, Row, Took, run
from orchestrator.devcluster import ClusterSpec, DevCluster
from orchestrator.host import environment

LATER = "--begin=now+3600"
OURS = (
    "demo",
    "conditioning=none",
    "photometric.strength=1",
    "predictor.depth=2",
    "resources.partition=gpu",
    f"resources.sbatch_args='{LATER}'",
)
COMPARED = 100
QUEUED_WITHIN_S = 300.0
LOOK = """
import sys, time
from orchestrator import service
from orchestrator.host import slurm
from orchestrator.records.layout import Layout
from orchestrator.store.database import Store
layout = Layout.of(sys.argv[1])
calls, ask = [], slurm.run
def counted(command, **options):
    calls.append(command[0])
    return ask(command, **options)
slurm.run = counted
store = Store.open(layout.database_url)
service.observe(layout, store)
took = []
for _ in range(int(sys.argv[2])):
    calls.clear()
    began = time.perf_counter()
    service.observe(layout, store)
    took.append(time.perf_counter() - began)
print(*took)
print(*calls)
"""
SUBMITIT = """
import sys, submitit
executor = submitit.SlurmExecutor(sys.argv[1])
executor.update_parameters(time=60, partition="gpu", additional_parameters={"begin": "now+3600"})
count, together = int(sys.argv[2]), sys.argv[3] == "array"
if together:
    executor.map_array(abs, range(count))
else:
    for value in range(count):
        executor.submit(abs, value)
"""
DORA = {
    "__init__.py": "",
    "train.py": """
import argparse
from dora import argparse_main
parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=-1)
@argparse_main(dir={folder!r}, parser=parser)
def main():
    pass
""",
    "grids/__init__.py": "",
    "grids/many.py": """
from dora import Explorer
@Explorer
def explorer(launcher):
    launcher.slurm_(gpus=1, cpus_per_gpu=1, mem_per_gpu=0, partition="gpu", time=60)
    with launcher.job_array():
        for seed in range({count}):
            launcher({{"seed": seed}})
""",
}
"""A project of dora's: what is trained, and the grid of it."""


def submit(bench: Bench) -> list[Row]:
    """A tenth of the trials into the queue, and once more."""
    count = bench.trials // 10
    sweep = [*OURS, f"seed=range({count})"]
    with _cluster(bench) as cluster:
        root = bench.folder / "submitted"
        planned = [_iwm("plan", *sweep, root=str(root))[0] for _ in range(2)]
        took, told = _iwm("submit", *sweep, "--launcher", "slurm", "--json", root=str(root))
        jobs = json.loads(told)["jobs"]
        assert sum(len(job["trials"]) for job in jobs) == count == len(_queued(cluster))
        again = [_iwm("submit", *sweep, "--launcher", "slurm", "--json", root=str(root)) for _ in range(2)]
        assert not any(json.loads(told)["jobs"] for _, told in again)
    net = [Took(took.wall_s - plan.wall_s, took.cpu_s - plan.cpu_s) for plan in planned]
    calls = f"{len(jobs)} sbatch for all, 1 to ask"
    return [
        Row.of_times(net, part="submit", what=f"submit {count:,} trials, planning apart ({calls})", below=5),
        Row.of_times([took], part="submit", what=f"the same with planning and Python's start ({count:,} trials)"),
        Row.of_times([one for one, _ in again], part="submit", what=f"submit {count:,} again: 0 jobs", below=5),
    ]


def look(bench: Bench) -> list[Row]:
    """One pass over live jobs."""
    with _cluster(bench) as cluster:
        root = bench.folder / "watched"
        _iwm("submit", *OURS, f"seed=range({bench.trials})", "--launcher", "slurm", "--json", root=str(root))
        assert len(_queued(cluster)) == bench.trials
        times, calls = bench.answer_of(LOOK, str(root), str(bench.runs)).splitlines()
    what = f"one pass over {bench.trials:,} live jobs ({calls.count('squeue')} squeue, {calls.count('sacct')} sacct)"
    return [Row.of([float(word) for word in times.split()], part="look", what=what, unit="s", below=2)]


def compare(bench: Bench) -> list[Row]:
    """100 jobs into the queue, each tool in its own way; the time until SLURM lists them all."""
    count = COMPARED
    hydra = [
        "-m", "orchestrator.hydra_app", "-m", "hydra/launcher=submitit_slurm", "conditioning=none",
        f"seed=range({count})", *(word for word in OURS[2:] if not word.startswith("conditioning")),
    ]  # fmt: skip
    folder = str(bench.folder / "submitit")
    ways: dict[str, list[str]] = {
        "iwm submit (returns)": [
            "-m", "orchestrator.cli", "submit", *OURS, f"seed=range({count})", "--launcher", "slurm", "--root",
            str(bench.folder / "ours"),
        ],
        "submitit, one array (returns)": ["-c", SUBMITIT, folder, str(count), "array"],
        "submitit, job by job (returns)": ["-c", SUBMITIT, folder, str(count), "each"],
        "Hydra's submitit launcher (blocks until all jobs have ended)": hydra,
    }  # fmt: skip
    if importlib.util.find_spec("dora"):
        ways["dora grid, one array (returns)"] = [
            "-m",
            "dora",
            "-P",
            _dora(bench, count),
            "grid",
            "many",
            "--no_monitor",
        ]
    else:
        print("dora is not compared: pip install dora-search", file=sys.stderr)
    rows = []
    for name, words in ways.items():
        took = [_until_queued(bench, words, count=count) for _ in range(min(3, bench.runs))]
        rows.append(Row.of(took, part="compare", what=f"{count} jobs: {name}", unit="s"))
    return rows


def _dora(bench: Bench, count: int) -> str:
    """Writes dora's project; its package, which is to be found from the working folder."""
    package = bench.folder / "dora" / "dora_project"
    for name, text in DORA.items():
        file = package / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.format(folder=str(bench.folder / "dora" / "runs"), count=count))
    return package.name


def _until_queued(bench: Bench, words: list[str], *, count: int) -> float:
    """From the start of the command until all its jobs are listed; it is ended then, if it has not."""
    with _cluster(bench) as cluster:
        cluster.run("scontrol", "update", "PartitionName=gpu", "State=DOWN")  # dora cannot say when jobs are to begin
        began = time.perf_counter()
        root = str(bench.folder / f"hydra-{time.monotonic_ns()}")
        process = subprocess.Popen(
            [sys.executable, *words],
            cwd=bench.folder / "dora" if "dora" in words else TREE,
            env={**os.environ, "IWM_ROOT": root},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL if "dora" in words else None,  # a line a job
            start_new_session=True,
        )
        try:
            while len(_queued(cluster)) < count:
                assert time.perf_counter() - began < QUEUED_WITHIN_S, f"{words}: {len(_queued(cluster))} jobs"
                time.sleep(0.02)
            took = time.perf_counter() - began
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=10)
            return took
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            for old in ("ours", "dora/runs"):
                shutil.rmtree(bench.folder / old, ignore_errors=True)


def _queued(cluster: DevCluster) -> list[str]:
    return cluster.run("squeue", "--noheader", "--array", "--format=%i").split()


def _iwm(*words: str, root: str) -> tuple[Took, str]:
    began, before = time.perf_counter(), os.times()
    told = run([sys.executable, "-m", "orchestrator.cli", *words, "--root", root])
    after = os.times()
    cpu_s = after.children_user + after.children_system - before.children_user - before.children_system
    return Took(time.perf_counter() - began, cpu_s), told


@contextlib.contextmanager
def _cluster(bench: Bench) -> Iterator[DevCluster]:
    """A cluster of its own, to which this process's SLURM commands go."""
    place = bench.folder / f"c{time.monotonic_ns() % 10**9}"
    with (
        DevCluster.up(place, spec=ClusterSpec(nodes=1)) as cluster,
        environment.changed({key: cluster.env[key] for key in ("SLURM_CONF", "PATH")}),
    ):
        yield cluster


PARTS: dict[str, Callable[[Bench], list[Row]]] = {"submit": submit, "look": look, "compare": compare}
