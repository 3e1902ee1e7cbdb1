"""The pages beside the MLflow UI over a root of many trials: asked over HTTP, and painted by a real Chromium."""

import contextlib
import gzip
import importlib.util
import os
import shutil
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.scale.bench import TREE, Row, Took, process_cpu_s
from orchestrator.records.layout import Layout
from orchestrator.store.database import Store
from orchestrator.trial.sweep import SweepRecord

SERVED_S, PAINTED_S = 1.0, 2.0
PATIENCE_S = 60.0
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
SERVE = """
import sys, uvicorn
from dashboards.pages.routes import site
from orchestrator.records.layout import Layout
uvicorn.run(site(Layout.of(sys.argv[1])), host="127.0.0.1", port=int(sys.argv[2]), log_level="warning")
"""


@dataclass(frozen=True, kw_only=True)
class Served:
    """A server of a root's pages, and the process that it is."""

    url: str
    pid: int

    def get(self, place: str) -> tuple[Took, int]:
        """Asks for a page as a browser does: how long the answer took, and its bytes on the wire."""
        request = urllib.request.Request(self.url + place, headers={"Accept-Encoding": "gzip"})
        began, before = time.perf_counter(), process_cpu_s(self.pid)
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            body = answer.read()
        took = Took(time.perf_counter() - began, process_cpu_s(self.pid) - before)
        assert b"</html>" in (gzip.decompress(body) if answer.headers["content-encoding"] == "gzip" else body)
        return took, len(body)


@contextlib.contextmanager
def serving(root: Path, *, port: int) -> Iterator[Served]:
    """Our pages of a root, in a process that has answered nothing yet but for a file."""
    command = [sys.executable, "-c", SERVE, str(root), str(port)]
    with subprocess.Popen(command, cwd=TREE, env={**os.environ, "PYTHONPATH": str(TREE)}) as process:
        try:
            served = Served(url=f"http://127.0.0.1:{port}", pid=process.pid)
            _wait(served, process)
            yield served
        finally:
            process.terminate()


def _wait(served: Served, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            urllib.request.urlopen(f"{served.url}/iwm/static/pages.css", timeout=PATIENCE_S).close()
            return
        except urllib.error.URLError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
        time.sleep(0.1)


def places(root: Path) -> tuple[SweepRecord, Mapping[str, str]]:
    """The largest sweep of a root, and the address of each page."""
    with Store.open(Layout.of(root, environ={}).database_url) as store:
        record = max(store.sweep_records(), key=lambda record: len(record.trials))
    sweep = f"/iwm/sweeps/{record.id}"
    trial = f"/iwm/trials/{record.trials[0].id}?sweep={record.id}"
    pages = {"grid": sweep, "answer": f"{sweep}/answer", "time line": f"{sweep}/timeline"}
    return record, {"all sweeps": "/iwm/", **pages, "trial": trial}


def ask(root: Path, *, name: str, runs: int, port: int) -> list[Row]:
    """Every page: once in a server that has just started (cold), and again while nothing has changed (warm)."""
    record, pages = places(root)
    rows = []
    for page, place in pages.items():
        with serving(root, port=port) as served:
            cold, _ = served.get(place)
            warm, sizes = zip(*(served.get(place) for _ in range(runs)), strict=True)
        what = f"{page}, {name}, {len(record.trials):,} trials"
        rows.append(Row.of_times([cold], part="pages", what=f"{what}: cold"))
        kilobytes = statistics.median(sizes) / 1e3
        rows.append(Row.of_times(warm, part="pages", what=f"{what}: warm, {kilobytes:.0f} kB sent", below=SERVED_S))
    return rows


def paint(root: Path, *, name: str, runs: int, port: int) -> list[Row]:
    """Every page in a fresh window of Chromium, from the click to the first paint with content; the server is warm."""
    from playwright.sync_api import sync_playwright

    _, pages = places(root)
    with serving(root, port=port) as served, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program(), args=["--no-sandbox"])
        rows = []
        for page, place in pages.items():
            served.get(place)
            found = [_painted(chromium, served.url + place) for _ in range(runs)]
            rows.append(Row.of(found, part="paint", what=f"{page}, {name}: first paint", unit="s", below=PAINTED_S))
        chromium.close()
    return rows


def _painted(chromium, address: str) -> float:  # type: ignore[no-untyped-def]  # noqa: ANN001 - Playwright is optional
    window = chromium.new_page()
    window.goto(address, timeout=PATIENCE_S * 1000)
    window.wait_for_function("performance.getEntriesByName('first-contentful-paint').length > 0")
    milliseconds = window.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    window.close()
    return milliseconds / 1000


def program() -> str:
    """Chromium's; empty where it or Playwright is not installed."""
    found = next(filter(None, map(shutil.which, CHROMIUM)), "")
    return found if importlib.util.find_spec("playwright") else ""
