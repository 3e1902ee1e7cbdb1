import io

import numpy as np
from matplotlib.text import Text
from PIL import Image

from dashboards.cells import tabulate
from dashboards.figures.operations import draw, measured, render_operations
from orchestrator.planning.protocols import AXIS
from tests.fakes.results import finished, results, sweep, trial

MEASURED = {"none": 0.1, "feature": 0.6}


def known():
    """Two cells with one evaluation each."""
    trials = []
    for conditioning, mrr in MEASURED.items():
        place = {"conditioning": conditioning}
        trials.append(trial(place, status=finished({"mrr": mrr})))
        metrics = {"mrr": mrr, "mrr_hue": mrr / 2, "mrr_brightness": mrr / 4, "mrr_floor": 0.05}
        evaluated = {**place, AXIS: "mrr"}
        trials.append(trial(evaluated, status=finished(metrics), config={"evaluate.protocol": "mrr"}))
    return results(trials, axes=["conditioning", AXIS])


def test_a_row_for_each_operation_that_was_measured():
    table = tabulate(known())
    figure = draw(table, [(cell, measured(cell)) for cell in table.cells])
    (panel,) = figure.axes
    assert [label.get_text() for label in panel.get_yticklabels()] == ["all together", "brightness", "hue"]
    marks = {tuple(np.asarray(line.get_xdata()).tolist()) for line in panel.lines}
    assert {(0.1,), (0.6,), (0.025,), (0.15,), (0.05,), (0.3,)} <= marks
    words = " ".join(text.get_text() for text in figure.findobj(Text) if isinstance(text, Text))
    for said in ("MRR by operation", "floor 0.050", "conditioning none", "feature"):
        assert said in words


def test_the_picture_is_a_png_with_equal_bytes():
    data = render_operations(known())
    assert data
    assert data == render_operations(known())
    assert Image.open(io.BytesIO(data)).size == (1200, 600)


def test_without_operations_there_is_no_picture():
    assert render_operations(sweep({"conditioning": ["none"]}, measure=lambda levels, seed: {"mrr": 0.5})) is None
