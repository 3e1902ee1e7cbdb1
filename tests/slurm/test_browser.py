"""A person with a real browser, while a sweep runs on a real SLURM: the MLflow UI and our pages beside it.

Chromium comes from the distribution. Where it or Playwright is not installed the test is skipped, and fails under
IWM_REQUIRE_CHROMIUM=1. Screenshots are kept where IWM_SCREENSHOTS says, else in the test's own folder.
"""

import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.records.layout import Layout
from orchestrator.trial.lifecycle import State
from tests.fakes.tiny import TINY
from tests.slurm.lab import STEPS, Lab

if TYPE_CHECKING:
    from playwright.sync_api import Page

SWEEP = f"""
description: four cells, to be looked at
overrides: [{", ".join(TINY)}, train.steps={2 * STEPS}, resources.cpus_per_gpu=1, resources.device=cpu]
axes:
  conditioning: [none, feature]
  predictor.depth: [1, 2]
"""
pytestmark = pytest.mark.browser
NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE_MS = 60_000


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser's program."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if not found or not importlib.util.find_spec("playwright"):
        refuse = pytest.fail if os.environ.get("IWM_REQUIRE_CHROMIUM") == "1" else pytest.skip
        refuse("needs Chromium (apt install chromium) and Playwright (pip install playwright)")
    return found


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Where screenshots are kept."""
    folder = Path(os.environ.get("IWM_SCREENSHOTS") or tmp_path / "screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def browser(program: str, **context: Any) -> "Iterator[Page]":
    """A page of a fresh browser; an error in its console fails the test."""
    from playwright.sync_api import sync_playwright

    complaints: list[str] = []
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = running.new_context(**context).new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if _is_ours(said) else None)
        yield page
        running.close()
    assert not complaints


def _is_ours(said: Any) -> bool:
    return said.type == "error" and "/iwm/" in said.location.get("url", "")


@contextmanager
def served(lab: Lab) -> Iterator[str]:
    """`iwm serve` on the lab's root; its address."""
    words = ["serve", "--json", "--port", "0", "--poll", "0.5", "--root", str(lab.layout.root)]
    process = subprocess.Popen([sys.executable, "-m", "orchestrator.cli", *words], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        yield json.loads(process.stdout.readline())["url"]
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


@pytest.mark.parametrize("databases", ["sqlite", pytest.param("postgresql", marks=pytest.mark.nightly)], indirect=True)
def test_a_sweep_is_watched_while_it_runs(
    new_lab: Callable[..., Lab],
    chromium: str,
    pictures: Path,
    databases: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lab = new_lab(nodes=2, grace_s=20)
    for variable, url in databases.items():
        monkeypatch.setenv(variable, url)
    lab = replace(lab, layout=Layout.of(lab.layout.root, environ=databases))
    with served(lab) as url, browser(chromium, viewport={"width": 1200, "height": 900}) as page:
        page.goto(f"{url}/iwm/")  # what comes first is slow, and the trials are short
        trials = lab.submit("resources.partition=gpu", text=SWEEP)
        node = lab.until_checkpointed(trials[0])
        the_grid_follows(page, url, pictures)
        lab.preempt(node)
        lab.until(lambda: any(lab.status(trial).preemptions for trial in trials))
        lab.until_finished(*trials)
        the_time_line_shows_the_preemption(page, url, pictures)
        axes_are_switched_and_a_cell_leads_to_its_trial(page, url, trials, pictures)
        the_answer_is_read(page, url, pictures)
        mlflow_shows_the_same(page, lab, url, pictures)
    with served(lab) as url, browser(chromium, viewport={"width": 390, "height": 844}, color_scheme="dark") as page:
        it_fits_a_phone_in_the_dark(page, url, trials, pictures)


def sweep_of(page: "Page", url: str) -> str:
    """The address of the one sweep, found as a person finds it."""
    page.goto(f"{url}/iwm/")
    page.get_by_role("link", name=re.compile("^faults-")).click()
    page.wait_for_url(re.compile(r"/iwm/sweeps/faults-"))
    return page.url


def the_grid_follows(page: "Page", url: str, pictures: Path) -> None:
    sweep_of(page, url)
    page.locator(".heat td a i.running").first.wait_for()
    page.locator("main[data-live]").wait_for()
    before = page.locator(".foot").inner_text()
    page.wait_for_function("before => document.querySelector('.foot').innerText !== before", arg=before)
    page.screenshot(path=pictures / "grid-live.png")
    page.get_by_role("button", name="Pause updates").click()
    assert page.evaluate("paused")
    page.get_by_role("button", name="Resume updates").click()
    assert not page.evaluate("paused")


def the_time_line_shows_the_preemption(page: "Page", url: str, pictures: Path) -> None:
    page.goto(f"{sweep_of(page, url)}/timeline")
    assert page.locator(".lane a").count() == 4
    mark = page.locator("text.mark.preempted").first
    mark.wait_for(state="attached")
    assert mark.text_content() == "▲"
    assert page.locator("line.wait").count() > 0
    assert page.locator("rect.running, rect.finished").count() >= 4
    assert re.search(r"preempted \((SIGTERM|SIGUSR2|preempted|requeued).*?\), .*steps repeated", page.content())
    page.screenshot(path=pictures / "timeline.png")


def axes_are_switched_and_a_cell_leads_to_its_trial(
    page: "Page", url: str, trials: tuple[str, ...], pictures: Path
) -> None:
    sweep_of(page, url)
    assert page.locator(".heat tbody th").all_inner_texts() == ["none", "feature"]
    page.get_by_label("Rows").select_option("predictor.depth")
    page.wait_for_url(re.compile("rows=predictor.depth"))
    page.locator(".heat tbody th", has_text="1").wait_for()
    assert page.locator(".heat tbody th").all_inner_texts() == ["1", "2"]
    assert page.evaluate("document.activeElement.name") == "rows"  # what was chosen keeps the focus
    assert page.locator(".heat td a i.finished").count() == 4
    page.go_back()
    page.locator(".heat tbody th", has_text="none").wait_for()
    page.go_forward()
    page.locator(".heat tbody th", has_text="1").wait_for()
    page.screenshot(path=pictures / "grid.png")
    first = page.locator(".heat td a").first
    first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/iwm/trials/"))
    assert trials[3] in page.url
    assert page.locator("h1").inner_text() == f"Trial {trials[3]}"
    assert "loss" in page.locator(".curves").inner_text()
    page.screenshot(path=pictures / "trial.png")
    page.get_by_title(re.compile("conditioning: feature → none")).click()
    page.wait_for_url(re.compile(trials[1]))


def the_answer_is_read(page: "Page", url: str, pictures: Path) -> None:
    page.goto(f"{sweep_of(page, url)}/answer")
    assert "Main effects" in page.locator("main").inner_text()
    with page.expect_download() as loading:
        page.evaluate("document.querySelector('header a[href$=\"answer.csv\"]').setAttribute('download', '')")
        page.get_by_role("link", name="CSV").click()
    assert Path(loading.value.path()).read_text().startswith("kind,axis,from,to,difference")
    page.screenshot(path=pictures / "answer.png")


def mlflow_shows_the_same(page: "Page", lab: Lab, url: str, pictures: Path) -> None:
    """Its four runs are found by the sweep's tag, through the link that `iwm status` prints, and lead back to us."""
    link = next(word for word in lab.iwm("status").split() if word.startswith(f"{url}/#/experiments/"))
    lab.until(lambda: lab.iwm("sync") and True)
    page.goto(link)
    page.locator(".ag-header-cell", has_text="axis.conditioning").first.wait_for()  # a saved view, not a mere filter
    name = page.get_by_role("link", name=re.compile("conditioning=feature depth=2"))
    name.first.wait_for()
    assert page.get_by_role("link", name=re.compile("conditioning=(none|feature) depth=")).count() >= 4
    page.screenshot(path=pictures / "mlflow-runs.png")
    name.first.click()
    back = page.get_by_role("link", name="Curves, attempts and neighbours")
    back.first.wait_for()
    page.screenshot(path=pictures / "mlflow-run.png")
    assert re.search(r"/iwm/trials/[0-9a-f]{16}$", back.first.get_attribute("href") or "")


def it_fits_a_phone_in_the_dark(page: "Page", url: str, trials: tuple[str, ...], pictures: Path) -> None:
    sweep = sweep_of(page, url)
    places = {"sweeps": f"{url}/iwm/", "grid": sweep, "answer": f"{sweep}/answer", "timeline": f"{sweep}/timeline"}
    places["trial"] = f"{url}/iwm/trials/{trials[0]}"
    for name, place in places.items():
        page.goto(place)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        if name == "timeline":
            assert page.evaluate(
                "document.querySelector('.lane rect').getBoundingClientRect().left < innerWidth"
            )  # in sight without scrolling
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(13, 17, 23)"
        page.screenshot(path=pictures / f"phone-{name}.png")
    assert page.locator(".state").first.inner_text() == State.FINISHED.value
