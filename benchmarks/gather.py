"""How fast journals come into MLflow, and how soon a person sees what a worker wrote.

    python benchmarks/gather.py [--json] [--parts sqlite,postgresql,delay] [--trials 20] [--steps 500] [--live 100]

`sqlite`, `postgresql`: points per second from journals through the gatherer, over HTTP, into an MLflow server on that
database, in one pass. `delay`: `iwm serve` on a root of live trials, each of which writes a line every five seconds;
from a line's write to its visibility in MLflow's REST API. Each part is a function below.
"""

import http.client
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.scale import command
from benchmarks.scale.bench import Row, process_cpu_s
from iwm_core.config import TrialConfig
from iwm_core.events import Started, Step
from orchestrator.records import journal
from orchestrator.records.journal import Journal
from orchestrator.records.layout import Layout
from orchestrator.serving.command import Address, choose, server_command, server_environment
from orchestrator.serving.server import answers
from orchestrator.store.database import Store
from orchestrator.store.refresh import refresh
from orchestrator.tracking import gather
from orchestrator.tracking.client import open_client
from orchestrator.trial.events import Claimed
from orchestrator.trial.value import Trial
from tests.fakes import postgresql

METRICS = ("loss", "grad_norm", "target_std", "effective_rank", "images_per_s")
LINE_EVERY_S = 5.0
LOOK_EVERY_S = 0.05


@dataclass(frozen=True)
class Load:
    """How much is written."""

    trials: int
    steps: int
    live: int
    probes: int


def sqlite(folder: Path, load: Load) -> list[Row]:
    """Into a server on SQLite."""
    return [_throughput(folder / "sqlite", f"sqlite:///{folder}/sqlite.db", load, name="SQLite", at_least=5_000)]


def on_postgresql(folder: Path, load: Load) -> list[Row]:
    """Into a server on PostgreSQL."""
    programs = postgresql.installed()
    if programs is None:
        raise SystemExit("needs PostgreSQL and its driver")
    with postgresql.running(programs) as server:
        url = server.create("mlflow")
        return [_throughput(folder / "postgresql", url, load, name="PostgreSQL", at_least=4_000)]


def delay(folder: Path, load: Load) -> list[Row]:
    """Of a line, with many live trials."""
    layout = Layout.of(folder / "live", environ={})
    writers = [_attempt(layout, seed) for seed in range(load.live)]
    with _serving(layout) as (address, pid), _writing(writers) as written:
        runs = _runs(address, load.live)
        before = process_cpu_s(pid)
        waits = [_wait(address, runs, written) for _ in range(load.probes)]
        cpu_s = process_cpu_s(pid) - before
    what = f"from a line to MLflow's REST API, {load.live} live trials"
    row = Row.of(waits, part="delay", what=what, unit="s")
    slowest = Row.of([max(waits)], part="delay", what=f"the slowest of these {len(waits)} lines", unit="s", below=5.0)
    return [replace(row, cpu_s=round(cpu_s, 1)), slowest]


PARTS: dict[str, Callable[[Path, Load], list[Row]]] = {
    "sqlite": sqlite,
    "postgresql": on_postgresql,
    "delay": delay,
}


def _throughput(root: Path, database: str, load: Load, *, name: str, at_least: int) -> Row:
    """One pass over journals that MLflow knows nothing of."""
    backend = Layout.of(root, environ={"MLFLOW_TRACKING_URI": database})
    for seed in range(load.trials):
        with closing(_attempt(backend, seed)) as writer:
            _write(writer, steps=load.steps)
    open_client(backend)
    with _server(backend) as (address, pid):
        layout = Layout.of(root, environ={"MLFLOW_TRACKING_URI": address.url})
        began, before = time.perf_counter(), time.process_time() + process_cpu_s(pid)
        with Store.open(layout.database_url) as store:
            refresh(layout, store)
            sent = gather.sync(layout, store)
        wall_s = time.perf_counter() - began
        cpu_s = time.process_time() + process_cpu_s(pid) - before
    what = f"{sent.points:,} points of {sent.trials} trials to MLflow on {name}, over HTTP"
    row = Row.of([sent.points / wall_s], part=name, what=what, unit="points/s")
    return replace(row, at_least=at_least, cpu_s=round(cpu_s, 1))


def _attempt(layout: Layout, seed: int) -> Journal:
    """A claimed trial with an attempt that has begun."""
    trial = Trial(TrialConfig(seed=seed))
    folder = layout.trial(trial.id)
    journal.replace_file(folder.value_file, json.dumps(trial.to_dict()).encode())
    journal.claim(folder, Claimed(claim=0, launcher="elsewhere"))
    writer = Journal(folder.attempt(0), attempt=0)
    writer.append(Started(total_steps=1_000_000, host="node1"))
    return writer


def _write(writer: Journal, *, steps: int) -> None:
    """All lines of an attempt, as its worker would have left them."""
    now = time.time()
    lines = [
        json.dumps({"t": now + step, "event": "step", "step": step, "metrics": _values(step)}) for step in range(steps)
    ]
    with writer.path.open("a") as file:
        file.write("\n".join(lines) + "\n")


def _values(step: int) -> dict[str, float]:
    return {name: (place + 1) / (step + 1) for place, name in enumerate(METRICS)}


@contextmanager
def _server(layout: Layout) -> Iterator[tuple[Address, int]]:
    """MLflow's server as `iwm serve` starts it, on this layout's database; where it answers, and its process."""
    address = choose("127.0.0.1", port=0)
    environ = server_environment(layout, environ=os.environ)
    with subprocess.Popen(
        server_command(address),
        env=environ,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            while not answers(address):
                time.sleep(LOOK_EVERY_S)
            yield address, process.pid
        finally:
            os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def _serving(layout: Layout) -> Iterator[tuple[Address, int]]:
    """`iwm serve`."""
    words = ["serve", "--json", "--port", "0", "--root", str(layout.root)]
    with subprocess.Popen([sys.executable, "-m", "orchestrator.cli", *words], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout
            host, _, port = json.loads(process.stdout.readline())["url"].removeprefix("http://").rpartition(":")
            yield Address(host=host, port=int(port)), process.pid
        finally:
            process.send_signal(signal.SIGTERM)


Written = dict[str, tuple[int, float]]
"""The newest step of each trial, and when it was written."""


@contextmanager
def _writing(writers: Sequence[Journal]) -> Iterator[Written]:
    """Lines of all trials, spread over time, while the block lasts."""
    written: Written = {}
    ended = threading.Event()

    def write() -> None:
        step, pause_s = 0, LINE_EVERY_S / len(writers)
        began, count = time.monotonic(), 0
        while True:
            step += 10
            for writer in writers:
                writer.append(Step(step=step, metrics=_values(step)))
                written[writer.path.parents[1].name] = step, time.monotonic()
                count += 1
                if ended.wait(max(0.0, began + count * pause_s - time.monotonic())):
                    return

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield written
    finally:
        ended.set()
        thread.join()


def _runs(address: Address, count: int) -> dict[str, str]:
    """Each trial's run, once all have one."""
    found: dict[str, str] = {}
    while len(found) < count:
        time.sleep(1.0)
        asked = {"experiment_ids": ["1"], "max_results": 1000}
        answer = _ask(address, "POST", "/api/2.0/mlflow/runs/search", asked).get("runs", [])
        tags = {run["info"]["run_id"]: {tag["key"]: tag["value"] for tag in run["data"]["tags"]} for run in answer}
        found = {tags[run_id]["iwm.trial_id"]: run_id for run_id in tags}
    return found


def _wait(address: Address, runs: dict[str, str], written: Written) -> float:
    """How long the next line of some trial takes to be seen."""
    trial_id = random.choice(list(runs))
    before = written.get(trial_id)
    while written.get(trial_id) == before:
        time.sleep(0.01)
    step, since = written[trial_id]
    while _seen_step(address, runs[trial_id]) < step:
        time.sleep(LOOK_EVERY_S)
    return time.monotonic() - since


def _seen_step(address: Address, run_id: str) -> int:
    run = _ask(address, "GET", f"/api/2.0/mlflow/runs/get?run_id={run_id}")["run"]
    return max((int(metric["step"]) for metric in run["data"].get("metrics", [])), default=-1)


def _ask(address: Address, method: str, path: str, body: dict[str, object] | None = None) -> dict:
    with closing(http.client.HTTPConnection(address.host, address.port, timeout=60)) as connection:
        connection.request(method, path, json.dumps(body) if body else None, {"Content-Type": "application/json"})
        return json.load(connection.getresponse())


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures the parts that were asked for and prints a table, or one JSON document."""
    parser = command.parser(__doc__)
    parser.add_argument("--trials", type=int, default=20, help="of the first two parts")
    parser.add_argument("--steps", type=int, default=500, help="lines of each of them, with five metrics each")
    parser.add_argument("--live", type=int, default=100, help="live trials of the last part")
    parser.add_argument("--probes", type=int, default=30, help="lines whose delay is measured")
    options = command.chosen(parser, PARTS, arguments)
    load = Load(options.trials, options.steps, options.live, options.probes)
    with tempfile.TemporaryDirectory(prefix="iwm-bench-") as folder:
        rows = [row for part in options.parts for row in PARTS[part](Path(folder), load)]
    command.show(rows, as_json=options.json)


if __name__ == "__main__":
    main()
