import json
from urllib.parse import parse_qs

import pytest

from orchestrator.host.locks import holding
from orchestrator.records.layout import Layout
from orchestrator.tracking.links import (
    links,
    run_link,
    served_at,
    sweep_link,
    ui_command,
    ui_url,
    view,
    view_link,
    view_tag,
)
from orchestrator.trial.sweep import SweepRecord

RECORD = SweepRecord(id="a b-1", name="a b", axes=("seed",), t=1.0, trials=())


def test_a_sweep_has_a_page_while_it_is_served(tmp_path):
    layout = Layout.of(tmp_path, environ={})
    before = links(layout, RECORD, experiment_id="")
    assert (before.runs, before.view, before.page) == ("http://127.0.0.1:5000", "http://127.0.0.1:5000", "")
    with holding(layout.serve_lock, wait_s=0):
        layout.serve_lock.write_text(
            json.dumps({"url": "http://127.0.0.1:5007", "pid": 1, "pages": "http://127.0.0.1:5007"})
        )
        found = links(layout, RECORD, experiment_id="3")
        assert found.page == "http://127.0.0.1:5007/iwm/sweeps/a%20b-1"
        assert found.runs.startswith("http://127.0.0.1:5007/#/experiments/3/runs?workflowType=machine_learning&")
        assert found.view.startswith(
            "http://127.0.0.1:5007/#/experiments/3/runs?workflowType=machine_learning&viewStateShareKey="
        )
        layout.serve_lock.write_text(json.dumps({"url": "http://elsewhere", "pid": 1, "pages": "http://here:1"}))
        found = links(layout, RECORD, experiment_id="3")
        assert found.page == "http://here:1/iwm/sweeps/a%20b-1"
        assert found.view.startswith("http://elsewhere/#/experiments/3/")
        layout.serve_lock.write_text("torn {")
        assert served_at(layout) == ""
    layout.serve_lock.write_text(json.dumps({"url": "http://127.0.0.1:5007", "pages": "http://127.0.0.1:5007"}))
    assert served_at(layout) == ""


def layout(uri, root="/data/run s"):
    return Layout.of(root, environ={"MLFLOW_TRACKING_URI": uri})


@pytest.mark.parametrize(
    ("uri", "command"),
    [
        ("", "mlflow ui --backend-store-uri 'sqlite:////data/run s/mlflow.db' --port 5000"),
        ("postgresql://anna:s3cret@db/mlflow", 'mlflow ui --backend-store-uri "$MLFLOW_TRACKING_URI" --port 5000'),
        ("https://anna:s3cret@mlflow.example:8443/lab/", "https://mlflow.example:8443/lab"),
    ],
)
def test_the_command_opens_this_backend_and_tells_no_password(uri, command):
    assert ui_command(layout(uri)) == command


def test_the_ui_of_a_database_is_on_this_machine():
    assert ui_url(layout(""), port=5001) == "http://127.0.0.1:5001"


def test_a_sweeps_link_filters_by_its_tag_and_opens_the_view_for_training():
    record = SweepRecord(id="depth-12345678", name="depth", axes=(), t=0.0, trials=())
    page, _, query = sweep_link(record, base="http://127.0.0.1:5000", experiment_id="1").partition("?")
    assert page == "http://127.0.0.1:5000/#/experiments/1/runs"
    assert parse_qs(query) == {
        "workflowType": ["machine_learning"],
        "searchFilter": ["tags.`iwm.sweep.depth` LIKE '%depth-12345678%'"],
        "orderByKey": ["metrics.`mrr`"],
        "orderByAsc": ["false"],
        "startTime": ["ALL"],
        "lifecycleFilter": ["Active"],
    }


def test_a_sweeps_view_has_its_axes_as_columns():
    record = SweepRecord(id="depth-12345678", name="depth", axes=("conditioning", "a$b"), t=1.5, trials=())
    saved = json.loads(view(record))
    state = json.loads(saved.pop("state"))
    assert saved == {"name": "depth-12345678", "createdAt": 1500, "updatedAt": 1500}
    assert state["searchFilter"] == "tags.`iwm.sweep.depth` LIKE '%depth-12345678%'"
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`mrr`", False)
    assert state["selectedColumns"][:3] == ["tags.`axis.conditioning`", "tags.`axis.a_b`", "metrics.`mrr`"]


def test_a_views_link_names_its_tag():
    link = view_link("depth-12345678", base="http://here", experiment_id="1")
    assert (
        link
        == "http://here/#/experiments/1/runs?workflowType=machine_learning&viewStateShareKey="
        + view_tag("depth-12345678").split(".")[-1]
    )
    assert view_tag("depth-12345678") != view_tag("depth-12345679")


def test_a_run_opens_among_runs():
    assert run_link("ab", base="", experiment_id="1") == "/#/experiments/1/runs/ab?workflowType=machine_learning"
