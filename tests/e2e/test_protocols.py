"""A sweep with protocols on this machine: every trained trial, then its evaluations, and one row for both."""

import csv
import io

from tests.fakes.tiny import SWEEP

PROTOCOLS = """
protocols:
  knn:
  random_predictor: [evaluate=predictor_finetune, tune.predictor=random, tune.steps=4, tune.batch_size=8]
"""


def test_evaluations_follow_their_trials_and_join_their_rows(iwm):
    own = iwm.cwd / "sweeps" / "ablation" / "measured.yaml"
    own.write_text(SWEEP + PROTOCOLS)
    told = iwm.json("submit", "measured", "train.steps=10")
    assert told["counts"]["submit"] == 6
    assert {trial["state"] for trial in iwm.end_of_sweep("measured")} == {"finished"}
    report = iwm.run("report", "measured")
    assert "| conditioning |" in report
    assert "random predictor" in report
    rows = list(csv.DictReader(io.StringIO(iwm.run("report", "measured", "--format", "csv"))))
    assert [row["protocol"] for row in rows] == ["", "knn", "random_predictor"] * 2
    assert all(bool(row["knn_top1"]) == (row["protocol"] == "knn") for row in rows)
