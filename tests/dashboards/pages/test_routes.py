"""Every page over real files and a real store, asked as a browser asks."""

import json
import re

import pytest
from starlette.testclient import TestClient

from dashboards.pages.routes import site
from orchestrator.store.database import Store
from orchestrator.store.refresh import refresh

EVIL = "<script>alert('x')</script>"


@pytest.fixture
def root(on_disk):
    """A sweep of three trials: undisturbed, resumed, and one that nobody has started; its name is not nice."""
    record = on_disk.sweep("first", [0, 1, 2])
    folders = [on_disk.trial(seed) for seed in (0, 1, 2)]
    on_disk.undisturbed(folders[0])
    on_disk.resumed(folders[1])
    folders[1].logs.mkdir(parents=True)
    (folders[1].logs / "7-r0.err").write_text(f"progress 1\rprogress 2\n{EVIL}\n")
    file = on_disk.layout.sweep_file(record.id)
    file.write_text(json.dumps({**json.loads(file.read_text()), "about": EVIL, "name": EVIL}))
    with Store.open(on_disk.layout.database_url) as store:
        refresh(on_disk.layout, store)
    return on_disk.layout, record.id, [folder.id for folder in folders]


@pytest.fixture
def browser(root):
    with TestClient(site(root[0])) as client:
        yield client


def test_every_page_of_a_sweep_answers_and_escapes(browser, root):
    _, sweep, trials = root
    places = [f"/iwm/sweeps/{sweep}{view}" for view in ("", "/answer", "/timeline")]
    for place in ("/iwm/", *places, *(f"/iwm/trials/{trial}" for trial in trials)):
        answer = browser.get(place)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8"), place
        assert "<script>alert" not in answer.text, place


def test_the_grid_leads_to_the_trial_and_the_trial_to_its_neighbours(browser, root):
    _, sweep, trials = root
    assert f"/iwm/trials/{trials[0]}?sweep={sweep}" in browser.get(f"/iwm/sweeps/{sweep}").text
    page = browser.get(f"/iwm/trials/{trials[1]}?sweep={sweep}").text
    assert f"/iwm/trials/{trials[2]}?sweep={sweep}" in page
    assert "lost" in page
    assert "progress 2" in page
    assert "progress 1" not in page
    assert "&lt;script&gt;alert" in page


def test_data_comes_as_rows_and_as_tables(browser, root):
    _, sweep, trials = root
    for place in (
        f"sweeps/{sweep}/grid",
        f"sweeps/{sweep}/answer",
        f"sweeps/{sweep}/timeline",
        f"trials/{trials[1]}/data",
    ):
        rows = browser.get(f"/iwm/{place}.csv")
        assert rows.headers["content-type"].startswith("text/csv"), place
        assert len(rows.text.splitlines()) >= (1 if place.endswith("answer") else 2), place  # nothing varies here
        assert browser.get(f"/iwm/{place}.tex").status_code == 200
        assert browser.get(f"/iwm/{place}.exe").status_code == 404
    assert browser.get(f"/iwm/trials/{trials[1]}/data.csv").text.count("loss,") == 10


def test_a_page_follows_the_files(browser, root, on_disk):
    layout, sweep, trials = root
    assert "3 finished" not in browser.get(f"/iwm/sweeps/{sweep}").text
    on_disk.undisturbed(layout.trial(trials[2]))
    with Store.open(layout.database_url) as store:
        refresh(layout, store)
    assert "3 finished" in browser.get(f"/iwm/sweeps/{sweep}").text


def test_a_trials_pictures_are_shown(browser, root):
    layout, _, trials = root
    folder = layout.trial(trials[0]).pictures
    folder.mkdir()
    (folder / "retrieval.png").write_bytes(b"\x89PNG")
    place = f"/iwm/trials/{trials[0]}/pictures/retrieval.png"
    assert f'src="{place}"' in browser.get(f"/iwm/trials/{trials[0]}").text
    assert browser.get(place).content == b"\x89PNG"


def test_trials_of_no_sweep_have_pages_too(on_disk):
    folder = on_disk.trial(5)
    on_disk.undisturbed(folder)
    with Store.open(on_disk.layout.database_url) as store:
        refresh(on_disk.layout, store)
    with TestClient(site(on_disk.layout)) as browser:
        (place,) = re.findall(r'href="(/iwm/sweeps/[^"]+)">', browser.get("/iwm/").text)
        (trial,) = re.findall(r'href="(/iwm/trials/[^"]+)"', browser.get(place).text)
        assert f"Trial <code>{folder.id}" in browser.get(trial.replace("&amp;", "&")).text
        assert all(browser.get(f"{place}/{view}").status_code == 200 for view in ("timeline", "grid.csv", "grid.tex"))


def test_trials_of_no_sweep_are_no_seeds_of_one_another(on_disk):
    for seed in (5, 6):
        on_disk.undisturbed(on_disk.trial(seed))
    with Store.open(on_disk.layout.database_url) as store:
        refresh(on_disk.layout, store)
    with TestClient(site(on_disk.layout)) as browser:
        (place,) = re.findall(r'href="(/iwm/sweeps/[^"]+)">', browser.get("/iwm/").text)
        grid = browser.get(place).text
        assert len(re.findall(r'<th scope="row">[0-9a-f]{8}</th>', grid)) == 2
        assert "/answer" not in grid
        assert browser.get(f"{place}/answer").status_code == browser.get(f"{place}/answer.csv").status_code == 404


def test_a_sweep_whose_trials_are_not_there_yet_has_pages(on_disk):
    record = on_disk.sweep("early", [0, 1])
    with Store.open(on_disk.layout.database_url) as store:
        refresh(on_disk.layout, store)
    with TestClient(site(on_disk.layout)) as browser:
        place = f"/iwm/sweeps/{record.id}"
        assert "<table" not in browser.get(place).text
        for view in ("answer", "timeline", "grid.csv", "grid.tex", "answer.csv", "timeline.tex"):
            assert browser.get(f"{place}/{view}").status_code == 200, view


def test_every_page_leads_to_its_data_and_to_mlflow(browser, root):
    _, sweep, trials = root
    for place in ("/iwm/", f"/iwm/sweeps/{sweep}", f"/iwm/sweeps/{sweep}/answer", f"/iwm/sweeps/{sweep}/timeline"):
        _leads(browser, place)
    _leads(browser, f"/iwm/trials/{trials[0]}")


def _leads(browser, place):
    header = browser.get(place).text.partition("</header>")[0]
    links = [link.replace("&amp;", "&") for link in re.findall(r'href="([^"]+)"', header)]
    kinds = [browser.get(link).headers["content-type"].split(";")[0] for link in links if "/iwm/" in link]
    assert {"text/csv", "application/x-tex"} <= set(kinds), place
    assert links[-1] == "/", place
