import json

from orchestrator.host.locks import holding
from orchestrator.records.layout import Layout
from orchestrator.tracking.links import links, served_at
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
