"""Everything that a browser should not send, to every route there is; and names that should not be in a file.

Routes come from the application's own table, so a new one is tried as well. One with a part that `PARTS` does not know
fails until a valid value is added there.
"""

import asyncio
import itertools
import json
from dataclasses import replace
from urllib.parse import quote, unquote_to_bytes

import pytest
from starlette.routing import Mount, Route

from dashboards.pages.requests import QUERIES
from dashboards.pages.routes import site
from iwm_core.config import DataConfig, TrialConfig
from iwm_core.events import Evaluated, Failed, Step
from orchestrator.records import journal
from orchestrator.records.layout import Layout
from orchestrator.store.database import Store
from orchestrator.store.refresh import refresh
from orchestrator.trial.events import Claimed
from orchestrator.trial.sweep import Cell, Sweep
from orchestrator.trial.value import Trial
from tests.orchestrator.conftest import T0, OnDisk, ended, started, trained

EVIL = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>"
HUGE = "x" * 10_000_000
SECRET = "a secret that lies outside the root"

TABLE = [route.path for route in site(Layout.of("nowhere", environ={})).routes if isinstance(route, Route)]
PARTS = {"sweep_id": "SWEEP", "trial_id": "TRIAL", "kind": "csv", "name": "retrieval.png"}
BAD = {
    "unknown": "nothing",
    "empty": "",
    "quotes": """' OR "1"="1' --""",
    "script": EVIL,
    "up": "..",
    "far up": "../../../../../../etc/passwd",
    "encoded": "..%2f..%2f..%2fetc%2fpasswd",
    "twice encoded": "..%252f..%252fetc%252fpasswd",
    "of Windows": "..\\..\\secret.png",
    "absolute": "/etc/passwd",
    "address": "file:///etc/passwd",
    "nul": "%00",
    "broken utf-8": "%ff%fe%c0%af",
    "line break": "a%0d%0aSet-Cookie:%20a=b",
    "huge number": "9" * 400,
    "negative": "-1",
    "not a number": "1e9",
    "template": "{{7*7}}${7*7}",
    "ten megabytes": HUGE,
}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """The pages of a root with a finished trial and a failed one, and the trials' ids."""
    return make(tmp_path_factory.mktemp("hostile"), long="long")


@pytest.fixture(scope="module")
def heavy(tmp_path_factory):
    """The same with ten megabytes wherever there is room for them."""
    return make(tmp_path_factory.mktemp("heavy"), long=HUGE)


def make(base, *, long):
    """Whatever a person or a worker names is called `EVIL` or `long`, and links lead out of the root wherever a folder
    of a trial could be one."""
    (base / "secret.png").write_text(SECRET)
    (base / "logs").mkdir()
    (base / "logs" / "1.err").write_text(SECRET)
    layout = Layout.of(base / "root", environ={})
    trials = [Trial(TrialConfig(seed=seed, data=DataConfig(dataset=name))) for seed, name in enumerate((EVIL, long))]
    cells = tuple(
        Cell(trial, {EVIL: EVIL + "\ud800\0", "data.dataset": name, "seed": seed})
        for seed, (trial, name) in enumerate(zip(trials, (EVIL, long), strict=True))
    )
    record = Sweep(name=EVIL, axes=(EVIL, "data.dataset", "seed"), cells=cells, fixed=(EVIL, long)).to_record(t=T0)
    record = replace(record, id="SWEEP", about=EVIL + long)
    journal.replace_file(layout.sweep_file(record.id), json.dumps(record.to_dict()).encode())
    for trial, end in zip(trials, (ended(100), [Failed(step=50, error=EVIL + long, traceback=EVIL)]), strict=True):
        folder = layout.trial(trial.id)
        journal.replace_file(folder.value_file, json.dumps(trial.to_dict()).encode())
        journal.claim(folder, Claimed(claim=0, launcher="local", t=T0))
        named = [
            replace(started(0, folder), host=EVIL, job_id=EVIL),
            Step(step=10, metrics={EVIL: 1.0, "loss": float("nan")}, t=T0 + 10),
            Step(step=20, metrics={EVIL: 2.0, "loss": 1e300}, t=T0 + 20),
            Evaluated(step=20, protocol=EVIL, metrics={EVIL: -1e300}, t=T0 + 21),
        ]
        OnDisk(layout).attempt(folder, [*named, *trained(20, 50), *end]).close()
        folder.logs.symlink_to(base / "logs")
    pictures = layout.trial(trials[0].id).pictures
    pictures.mkdir()
    (pictures / "retrieval.png").write_bytes(b"\x89PNG")
    (pictures / "secret.png").symlink_to(base / "secret.png")
    layout.trial(trials[1].id).pictures.symlink_to(base)
    with Store.open(layout.database_url) as store:
        refresh(layout, store)
    return site(layout), [trial.id for trial in trials]


def ask(application, path, *, query="", method="GET"):
    """(status, headers, text) of an address as it stands, which no client has tidied."""
    sent = []

    async def receive():
        return {"type": "http.request"}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": method, "path": unquote_to_bytes(path).decode(errors="replace"), "headers": []}
    scope |= {"query_string": query.encode(), "raw_path": path.encode(), "server": ("127.0.0.1", 80), "scheme": "http"}
    asyncio.run(application({**scope, "root_path": "", "http_version": "1.1"}, receive, send))
    headers = {key.decode(): value.decode() for key, value in sent[0]["headers"]}
    return sent[0]["status"], headers, b"".join(message.get("body", b"") for message in sent).decode(errors="replace")


def address(path, trial, **bad):
    """The address of a route, with one part replaced."""
    for name, value in {**PARTS, "trial_id": trial, **bad}.items():
        path = path.replace("{" + name + "}", value)
    assert "{" not in path or any("{" in value for value in bad.values()), f"add a valid value to PARTS: {path}"
    return path


def is_plain_refusal(answer):
    status, headers, text = answer
    plain = 400 <= status < 500 and headers["content-type"].startswith("text/plain") and len(text) < 1_000
    return plain and "Traceback" not in text and "\n" not in text[:-1] and "root:" not in text and SECRET not in text


def is_harmless(answer):
    """A refusal; or a page, in which nothing is what a person wrote."""
    status, headers, text = answer
    if status != 200:
        return is_plain_refusal(answer)
    marks = "<script>alert" in text or "<img src=x" in text
    return not (marks and headers["content-type"].startswith("text/html")) and SECRET not in text


parts = [(path, name) for path in TABLE for name in PARTS if "{" + name + "}" in path]


@pytest.mark.parametrize(("path", "name"), parts)
def test_a_bad_part_of_any_path_is_a_plain_4xx(hostile, path, name):
    application, trials = hostile
    for why, value in BAD.items():
        answer = ask(application, address(path, trials[0], **{name: value}))
        redirected = answer[0] == 307 and value in ("", "..")  # what is left is the address of another page
        assert is_plain_refusal(answer) or redirected, (why, answer[0], answer[2][:200])


@pytest.mark.parametrize("path", TABLE)
def test_a_bad_query_to_any_route_is_refused_or_ignored(hostile, path):
    application, trials = hostile
    assert ask(application, address(path, trials[0]), query=f"metric={HUGE}")[0] == 414
    quoted = {why: quote(value, safe="%") for why, value in BAD.items() if value is not HUGE}
    for name, (why, value) in itertools.product((*QUERIES, "what"), quoted.items()):
        answer = ask(application, address(path, trials[0]), query=f"{name}={value}")
        assert is_harmless(answer), (name, why, answer[0], answer[2][:200])


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("sweeps/SWEEP?metric=nothing", "unknown metric 'nothing'; choose from"),
        ("sweeps/SWEEP/grid.tex?rows=nothing", "unknown axis 'nothing'; choose from data.dataset"),
        ("sweeps/SWEEP?columns=nothing", "unknown axis 'nothing'; choose from"),
        ("sweeps/SWEEP/timeline?page=2", "no page 2; choose from 1 to 1"),
        ("sweeps/SWEEP/timeline?page=0", "no page 0; choose from 1 to 1"),
        ("trials/TRIAL?sweep=nothing", "the trial is not in sweep 'nothing'"),
    ],
)
def test_a_refusal_says_what_is_valid(hostile, place, said):
    application, trials = hostile
    path, _, query = place.partition("?")
    answer = ask(application, "/iwm/" + path.replace("TRIAL", trials[0]), query=query)
    assert is_plain_refusal(answer)
    assert said in answer[2]


@pytest.mark.parametrize("path", TABLE)
def test_only_reading_is_served(hostile, path):
    application, trials = hostile
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "NONSENSE"):
        answer = ask(application, address(path, trials[0]), method=method)
        assert answer[0] == 405
        assert is_plain_refusal(answer)


@pytest.mark.parametrize("path", TABLE)
@pytest.mark.parametrize("which", [0, 1])
def test_bad_names_are_escaped_and_long_ones_cut_on_every_page(heavy, path, which):
    application, trials = heavy
    kinds = {"csv", "tex"} if "{kind}" in path else {""}
    for kind in kinds:
        status, headers, text = ask(application, address(path, trials[which], kind=kind))
        assert (status == 200) or "{name}" in path, text[:200]
        assert is_harmless((status, headers, text))
        assert kind == "csv" or len(text) < 200_000
        assert kind != "tex" or "<script>" not in text


def test_files_that_are_served_stay_in_their_folder(hostile):
    application, trials = hostile
    (mount,) = (route.path for route in application.routes if isinstance(route, Mount))
    for value in BAD.values():
        assert is_plain_refusal(ask(application, f"{mount}/{value}"))
    for place in (f"trials/{trials[0]}/pictures/secret.png", f"trials/{trials[1]}/pictures/secret.png"):
        assert is_plain_refusal(ask(application, f"/iwm/{place}"))
    for trial in trials:
        assert SECRET not in ask(application, f"/iwm/trials/{trial}")[2]
