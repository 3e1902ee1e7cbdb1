import io

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from dashboards.cells import tabulate
from dashboards.figures.canvas import PALETTE, SOFT, assign, colours
from dashboards.figures.figure import draw, draw_metric, render_figure
from orchestrator.trial.lifecycle import State, TrialStatus
from tests.fakes.results import sweep

AXES = {"conditioning": ["none", "feature"], "photometric.strength": [0.25, 1.0], "predictor.depth": [2, 4]}


def measure(levels, seed):
    mrr = 0.024 if levels.get("conditioning", "feature") == "none" else 0.4 + 0.02 * seed
    probes = {"linear_probe_top1": 0.19, "random_probe_top1": 0.22, "pixel_probe_top1": 0.85}
    return {"mrr": mrr, "mrr_floor": 0.0239, **probes}


def picture(results) -> Image.Image:
    data = render_figure(results)
    assert data
    return Image.open(io.BytesIO(data)).convert("RGB")


def texts(results) -> str:
    """The words of the figure."""
    return " ".join(text.get_text() for text in draw(tabulate(results)).findobj(Text) if isinstance(text, Text))


def test_the_picture_has_the_width_of_a_readme():
    assert picture(sweep(AXES, measure=measure)).size == (1200, 600)


def test_equal_results_give_equal_bytes():
    known = sweep(AXES, measure=measure, seeds=[0, 1])
    assert render_figure(known) == render_figure(known)


def test_settings_of_the_process_neither_matter_nor_change():
    known = sweep(AXES, measure=measure)
    before = render_figure(known)
    with matplotlib.rc_context({"axes.facecolor": "black", "font.size": 30}):
        assert render_figure(known) == before
        assert matplotlib.rcParams["font.size"] == 30


def test_floor_levels_and_references_are_named():
    words = texts(sweep(AXES, measure=measure))
    for word in ("floor 0.024", "feature 0.40", "none 0.02", "predictor depth 4", "random encoder 0.22", "pixels 0.85"):
        assert word in words


def test_intervals_are_announced_only_where_there_are_any():
    assert "no intervals" in texts(sweep(AXES, measure=measure))
    assert "2 seeds" in texts(sweep(AXES, measure=measure, seeds=[0, 1]))


def test_blind_is_grey_and_feature_is_blue():
    pixels = np.asarray(picture(sweep(AXES, measure=measure))).reshape(-1, 3)
    for colour in ((0x00, 0x72, 0xB2), (0x66, 0x70, 0x79)):
        assert (pixels == colour).all(axis=1).sum() > 50


@pytest.mark.parametrize(
    "axes",
    [
        {},
        {"conditioning": ["none", "feature"]},
        {"predictor.depth": [1, 2, 4]},
        {"a": ["$\\x$", "<b>"], "b": [True, False]},
    ],
)
def test_any_shape_of_sweep_can_be_drawn(axes):
    assert picture(sweep(axes, measure=measure)).size == (1200, 600)


def test_missing_cells_leave_a_gap():
    gone = {
        ("feature", 1.0, 4, 0): TrialStatus(state=State.FAILED),
        ("none", 1.0, 4, 0): TrialStatus(state=State.RUNNING),
    }
    assert picture(sweep(AXES, measure=measure, unfinished=gone)).size == (1200, 600)


def test_nothing_measured_is_no_figure():
    assert render_figure(sweep(AXES, measure=lambda levels, seed: {"loss": 1.0})) is None


STRENGTHS = {"conditioning": ["none", "feature"], "photometric.strength": [0.25, 1.0]}


def table(mrr):
    return tabulate(sweep(STRENGTHS, measure=lambda levels, seed: {"mrr": mrr(levels), "mrr_floor": 0.024}))


def drawn(known):
    axes = Figure().add_subplot()
    draw_metric(axes, known, roles=assign(known), metric="mrr", panel=None)
    return axes


def test_what_is_blind_is_grey():
    assert colours(table(lambda _: 0.3), axis="conditioning") == {"none": SOFT, "feature": PALETTE[0]}


def test_lines_stand_at_the_means():
    axes = drawn(table(lambda levels: 0.2 + 0.2 * levels["photometric.strength"]))
    heights = [list(map(float, line.get_ydata())) for line in axes.lines]  # pyright: ignore[reportArgumentType]
    assert heights == [[0.024, 0.024], [0.25, 0.4], [0.25, 0.4]]


def test_labels_of_equal_ends_are_moved_apart():
    heights = sorted(text.get_position()[1] for text in drawn(table(lambda _: 0.3)).texts if "0.30" in text.get_text())
    assert len(heights) == 2
    assert heights[1] - heights[0] > 0.015
