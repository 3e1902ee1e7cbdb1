"""The GPU script on the CPU: whole, cut, failing, interrupted; and its report. Nothing here is timed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def benchmark(script):
    sys.path.insert(0, str(ROOT))  # `script` puts the path back
    return script("gpu")


@pytest.fixture(scope="module")
def report(benchmark):
    from benchmarks.speed import gpu_report

    return gpu_report


def part(benchmark, fate, name="peak"):
    command = ("tests.fakes.benchmark_part", fate)
    return benchmark.Part(name=name, share=1, command=command, toy=command)


def session(benchmark, out, minutes):
    return benchmark.Session(out=out, minutes=minutes, device="cpu", official=None)


@pytest.mark.slow
def test_the_dry_run_does_every_part(tmp_path):
    command = [sys.executable, "-m", "benchmarks.gpu", "--dry-run", "--minutes", "120", "--out", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True)
    told = json.loads((tmp_path / "report.json").read_text())
    assert {each["part"]: each["state"] for each in told["parts"]} == {
        name: "done" for name in ("tests", "peak", "step", "kernels", "pipeline", "checkpoint", "evaluation")
    }
    assert all(each["rows"] for each in told["parts"])
    assert {row["outcome"] for row in told["rows"] if row["part"] == "tests"} <= {"passed", "skipped"}
    assert not [row for row in told["rows"] if row.get("error")]


@pytest.mark.slow
def test_a_part_that_hangs_is_ended_and_keeps_its_rows(benchmark, tmp_path):
    (outcome,) = session(benchmark, tmp_path, 1 / 4).run([part(benchmark, "hang")])
    assert (outcome.state, outcome.rows) == ("out of time", 1)
    assert "hangs now" in outcome.said
    assert json.loads((tmp_path / "report.json").read_text())["rows"][0]["value"] == 2.0


def test_a_part_that_fails_costs_itself_alone(benchmark, tmp_path):
    parts = [part(benchmark, "fail"), part(benchmark, "end")]
    failed, done = session(benchmark, tmp_path, 10).run(parts)
    assert (failed.state, done.state) == ("failed", "done")


def test_parts_that_no_time_is_left_for_are_named(benchmark, tmp_path):
    outcomes = session(benchmark, tmp_path, 0).run([part(benchmark, "end", name=name) for name in ("peak", "step")])
    assert [(each.part, each.state) for each in outcomes] == [("peak", "no time left"), ("step", "no time left")]
    assert "no time left" in (tmp_path / "report.md").read_text()


def test_a_signal_ends_it_with_a_whole_report(tmp_path):
    code = (
        "from pathlib import Path; from benchmarks.gpu import *; part = Part(name='peak', share=1, command=(), "
        "toy=('tests.fakes.benchmark_part', 'hang')); "
        f"Session(out=Path({str(tmp_path)!r}), minutes=60, device='cpu', official=None).run([part, part])"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    rows = tmp_path / "rows.jsonl"
    while not rows.exists() or not rows.read_text():
        assert process.poll() is None
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait() == 0
    told = json.loads((tmp_path / "report.json").read_text())
    assert [each["state"] for each in told["parts"]] == ["interrupted", "no time left"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--parts", "step,dance"], "unknown part 'dance'; choose from tests, peak"),
        (["--official", "."], "no checkout of facebookresearch/ijepa"),
    ],
)
def test_a_wrong_argument_is_answered_with_the_right_ones(benchmark, words, said, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        benchmark.main(["--dry-run", "--out", str(tmp_path / "out"), *words])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_an_earlier_report_is_not_written_over(benchmark, tmp_path, capsys):
    (tmp_path / "rows.jsonl").touch()
    with pytest.raises(SystemExit) as ended:
        benchmark.main(["--dry-run", "--out", str(tmp_path)])
    assert ended.value.code == 2
    assert "holds an earlier report" in capsys.readouterr().err


def test_a_torn_last_row_is_left_out(benchmark, tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text('{"part": "peak"}\n{"part": "st')
    assert benchmark.rows.read(file) == [{"part": "peak"}]


@pytest.mark.parametrize(
    ("at_most", "measured", "verdict"),
    [
        (False, None, "not measured"),
        (False, 0.5, "held"),
        (False, 0.3, "missed by 25%, floor held"),
        (False, 0.1, "missed by 75%"),
        (True, 0.3, "held"),
        (True, 0.5, "missed by 25%"),
    ],
)
def test_a_target_says_how_far_it_was_missed(report, at_most, measured, verdict):
    floor = None if at_most else 0.2
    assert report.Target(what="w", measured=measured, goal=0.4, floor=floor, at_most=at_most).verdict == verdict


def test_targets_are_read_from_the_rows_they_name(report):
    step = {"part": "step", "contender": "iwm", "gflops_per_s": 300_000, "gflops_per_image": 100}
    paper, lean = report.cases.CUDA[0].name, report.cases.PIPELINE["cuda"].name
    rows = [
        {"part": "peak", "what": "bf16 product, 8192 x 8192", "value": 750.0, "unit": "TFLOP/s"},
        {**step, "case": paper, "draw_share": 0.02, "host_waits_per_step": 0},
        {**step, "case": lean, "gflops_per_s": 150_000, "images_ratio": 1.7, "flops_ratio": 1.1},
        {"part": "step", "case": "ViT-L/16, 36x512, and so on", "error": "OutOfMemoryError: no"},
        {"part": "pipeline", "stage": "whole, 16 workers", "images_per_s": 1500.0},
    ]
    measured = [target.measured for target in report.targets(rows)]
    assert measured[:5] == [pytest.approx(0.4), pytest.approx(0.2), None, None, pytest.approx(0.2)]
    assert measured[5:] == [0.02, 0, 1.7, 1.1, None, None]
    assert "OutOfMemoryError" in report.as_markdown(
        {"device": "a card"}, outcomes=[report.Outcome(part="step", state="failed", command="c")], rows=rows
    )
