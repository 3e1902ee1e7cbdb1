from matplotlib.figure import Figure

from dashboards.ablation import tabulate
from dashboards.panels import PALETTE, SOFT, colours, draw_metric
from dashboards.roles import assign
from tests.fakes.results import sweep

AXES = {"conditioning": ["none", "feature"], "photometric.strength": [0.25, 1.0]}


def table(mrr):
    return tabulate(sweep(AXES, measure=lambda levels, seed: {"mrr": mrr(levels), "mrr_floor": 0.024}))


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
