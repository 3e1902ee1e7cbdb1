"""`iwm serve` as a person runs it: MLflow's server answers, metrics arrive, and nothing is left behind."""

import base64
import json
import os
import shutil
import signal
import socket
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Iwm, until

WORDS = ("pair", "train.steps=20")


def serve(iwm: Iwm, *words: str, port: int = 0):
    """Starts it; the process and where it answers."""
    process = iwm.start("serve", "--json", "--port", str(port), "--poll", "0.5", *words)
    assert process.stdout
    line = process.stdout.readline()
    assert line, process.communicate()[1]
    told = json.loads(line)
    assert told["pid"] == process.pid
    return process, told["url"]


def end(process, by: signal.Signals = signal.SIGTERM) -> str:
    """Asks it to end, which it does with exit code 0 and nothing more on standard output; its remarks."""
    process.send_signal(by)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, ""), err
    return err


def page(url: str, path: str = "/", **body: Any) -> Any:
    """The JSON, or the status code of an HTML page; None if no server answers."""
    request = urllib.request.Request(url + path, json.dumps(body).encode() if body else None)
    request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer) if path != "/" else answer.status
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return None


def runs(url: str, experiment: str = "iwm") -> list[Any]:
    """The runs of an experiment, from MLflow's server."""
    found = page(url, f"/api/2.0/mlflow/experiments/get-by-name?experiment_name={experiment}")
    if not found:
        return []
    ids = [found["experiment"]["experiment_id"]]
    return page(url, "/api/2.0/mlflow/runs/search", experiment_ids=ids).get("runs", [])


def finished(url: str) -> list[Any]:
    """Both runs, when they are finished there with their metrics."""
    ended = [run for run in runs(url) if run["info"]["status"] == "FINISHED" and run["data"].get("metrics")]
    return ended if len(ended) == 2 else []


def servers(port: int) -> list[int]:
    """The processes of MLflow's server on that port, the supervisor's among them."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"--port" in words and str(port).encode() in words and {b"mlflow", b"uvicorn"} & set(words):
            found.append(int(name))
    return found


def assert_nothing_is_left(url: str) -> None:
    port = int(url.rpartition(":")[2])
    until(lambda: not servers(port))
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))


def test_a_sweep_is_seen_in_mlflow_while_it_runs(iwm, new_iwm, databases):
    iwm.environ.update(databases)
    process, url = serve(iwm)
    assert page(url) == 200
    second = iwm.start("serve", "--port", "0")
    out, err = second.communicate(timeout=60)
    assert (second.returncode, out) == (1, "")
    assert err.startswith("iwm: ")
    assert f"process {process.pid}: {url}\n" in err

    iwm.json("submit", *WORDS)
    for run in until(lambda: finished(url), every_s=0.5):
        assert {"loss", "mrr"} <= {metric["key"] for metric in run["data"]["metrics"]}
    (report,) = until(lambda: runs(url, "iwm-reports"), every_s=0.5)
    our_pages_stand_beside_mlflow(iwm, url)
    listing = "/api/2.0/mlflow/artifacts/list?run_id=" + report["info"]["run_id"]
    files = until(lambda: page(url, listing).get("files"), every_s=0.5)
    assert "report.html" in {file["path"] for file in files}

    another_server_gets_the_same(new_iwm("two"), iwm, url)
    assert "SIGTERM" in end(process)
    assert_nothing_is_left(url)


def our_pages_stand_beside_mlflow(iwm: Iwm, url: str) -> None:
    """Every address that a table prints and a page links to answers; shells and keys are not there."""
    shown = iwm.run("status").split()
    (place,) = {word for word in shown if "/iwm/sweeps/pair" in word}
    assert any(word.startswith(f"{url}/#/experiments/") for word in shown)
    (trial, *_) = {trial["id"] for trial in iwm.json("status")["sweeps"][0]["trials"]}
    for address in (f"{url}/iwm/", place, f"{place}/answer", f"{place}/timeline", f"{url}/iwm/trials/{trial}"):
        with urllib.request.urlopen(address, timeout=10) as answer:
            assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
            assert "</html>" in answer.read().decode()
    for address in ("/ajax-api/3.0/mlflow/assistant/config", "/gateway/x", "/iwm/trials/..%2f..%2fmlflow.db"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(url + address, timeout=10)
        assert refused.value.code == 404
        refused.value.close()


def another_server_gets_the_same(two: Iwm, iwm: Iwm, url: str) -> None:
    """A root whose MLFLOW_TRACKING_URI names a server starts none, sends there, and shows its own pages."""
    for folder in ("sweeps", "trials"):
        shutil.copytree(getattr(iwm.layout, folder), getattr(two.layout, folder))
    environ = {"MLFLOW_TRACKING_URI": url, "IWM_EXPERIMENT": "elsewhere"}
    second = Iwm(two.layout, two.cwd, two.started, environ=environ)
    process, told = serve(second)
    assert told == url
    shown = until(lambda: [word for word in second.run("status").split() if word.startswith("http")], every_s=0.5)
    (place,) = {word for word in shown if "/iwm/sweeps/pair" in word}
    assert not place.startswith(url)
    assert any(word.startswith(f"{url}/#/experiments/") for word in shown)
    with urllib.request.urlopen(place, timeout=10) as answer:
        assert f"{url}/#/experiments/" in answer.read().decode()
    until(lambda: len(runs(url, "elsewhere")) == 2, every_s=0.5)
    end(process)
    assert page(url) == 200


def test_killed_it_leaves_nothing_and_goes_on(iwm):
    process, url = serve(iwm)
    port = int(url.rpartition(":")[2])
    assert len(servers(port)) == 3
    process.kill()
    process.wait()
    process, again = serve(iwm, port=port)
    assert again == url
    assert page(url) == 200

    before = servers(port)
    os.kill(max(before), signal.SIGKILL)
    until(lambda: set(servers(port)).isdisjoint(before))
    until(lambda: page(url) == 200, every_s=0.2)
    remarks = end(process, by=signal.SIGINT)
    assert "MLflow's server has exited (" in remarks
    assert "SIGINT" in remarks
    assert_nothing_is_left(url)


def test_others_may_come_who_know_the_password(iwm):
    iwm.environ["MLFLOW_AUTH_ADMIN_PASSWORD"] = "a long password"
    process, url = serve(iwm, "--host", "0.0.0.0")
    port = url.rpartition(":")[2]
    here = f"http://127.0.0.1:{port}"
    places = ("/", "/iwm/", "/iwm/static/pages.css", "/api/2.0/mlflow/experiments/get?experiment_id=0")

    def answered(place: str, said: str = "") -> int:
        request = urllib.request.Request(here + place)
        if said:
            request.add_header("Authorization", f"Basic {base64.b64encode(said.encode()).decode()}")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status
        except urllib.error.HTTPError as refused:
            return refused.code

    assert [answered(place) for place in places] == [401] * 4
    assert [answered(place, "admin:another") for place in places] == [401] * 4
    assert [answered(place, "admin:a long password") for place in places] == [200] * 4
    end(process)
    assert (iwm.layout.state / "basic_auth.db").exists()


def test_what_would_go_wrong_is_one_line(iwm):
    process = iwm.start("serve", "--host", "0.0.0.0")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (2, "")
    assert "ssh -N -L 5000:127.0.0.1:5000" in err
    assert err.count("\n") == 1
