import subprocess
import sys

import pytest

from dashboards.findings import Kind
from dashboards.report.content import FORMATS, SECTIONS, compose, render
from orchestrator.errors import RequestError
from orchestrator.trial.lifecycle import State, TrialStatus
from tests.fakes import golden_sweep as golden
from tests.fakes.golden_sweep import GOLDEN, golden_sweep
from tests.fakes.results import sweep


@pytest.mark.parametrize("kind", golden.FORMATS)
def test_the_report_equals_its_golden_file(kind):
    """`python -m tests.fakes.golden_sweep` writes the files anew; read the difference before you commit it."""
    assert render(golden_sweep(), format=kind) == (GOLDEN / f"report.{kind}").read_text(encoding="utf-8")


def test_html_says_what_markdown_says_and_carries_the_figure():
    page = render(golden_sweep(), format="html")
    assert f"<h2>{SECTIONS[Kind.SUPPORTED]}</h2>" in page
    assert "data:image/png;base64," in page
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_an_unknown_format_names_the_known_ones():
    with pytest.raises(RequestError) as caught:
        render(golden_sweep(), format="pdf")
    assert (caught.value.setting, caught.value.value, caught.value.choices) == ("format", "pdf", FORMATS)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("axes", [{}, {"a": []}, {"a": [1, 2]}])
def test_a_sweep_without_results_still_reports(kind, axes):
    waiting = {(level, 0): TrialStatus(state=State.QUEUED) for level in (1, 2)}
    known = sweep(axes, measure=lambda levels, seed: {}, unfinished=waiting | {(0,): TrialStatus(state=State.PLANNED)})
    assert "0.000" not in render(known, format=kind)


def test_the_title_is_the_sweeps_own():
    assert compose(golden_sweep()).title.startswith("golden: does 100% of a_b")


def test_a_report_is_quick_to_start():
    heavy = "{'scipy', 'matplotlib', 'numpy', 'torch', 'pandas', 'mlflow'}"
    code = f"import sys, dashboards.report.content; print(*({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
