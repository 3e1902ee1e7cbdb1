import io

import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image

from dashboards.cells import tabulate
from dashboards.figures.learning import TRIALS_MAX, chosen, draw, render_learning
from orchestrator.trial.lifecycle import Point
from tests.fakes.results import sweep

AXES = {"conditioning": ["none", "feature"], "predictor.depth": [2, 4]}


def point(key, step, value):
    return Point(key=key, step=step, value=value, t=1.0, attempt=0)


def points(trial_id):
    found = [point("loss", step, 1 / (step + 1)) for step in range(5)]
    return [*found, point("loss", 5, float("nan")), point("lr", 0, 0.1), point("lr", 1, 0.1)]


def known(seeds=(0,)):
    return sweep(AXES, measure=lambda levels, seed: {"mrr": 0.5}, seeds=seeds)


def test_every_trial_is_a_line_in_the_colour_of_its_hue():
    results = known()
    curve = [(step, 1 / (step + 1)) for step in range(5)]
    lines = [(trial, {"loss": curve}) for trial in chosen(tabulate(results))]
    figure = draw(tabulate(results), lines, ["loss"])
    (panel,) = figure.axes
    assert [np.asarray(line.get_xdata()).tolist() for line in panel.lines] == [[0, 1, 2, 3, 4]] * 4
    assert len({line.get_color() for line in panel.lines}) == 2
    words = " ".join(text.get_text() for text in figure.findobj(Text) if isinstance(text, Text))
    for said in ("Learning curves", "4 trials", "loss", "step", "none", "feature"):
        assert said in words


def test_the_picture_is_a_png_with_equal_bytes_and_breaks_at_nothing():
    data = render_learning(known(), points)
    assert data
    assert data == render_learning(known(), points)
    assert Image.open(io.BytesIO(data)).size == (1200, 600)


@pytest.mark.parametrize("logged", [[], [point("loss", 1, 0.5)], [point("lr", 0, 1.0), point("lr", 1, 1.0)]])
def test_nothing_to_draw_is_no_picture(logged):
    assert render_learning(known(), lambda trial_id: logged) is None


def test_of_many_trials_some_of_all_cells_are_drawn():
    results = known(seeds=range(50))
    found = chosen(tabulate(results))
    assert len(found) <= TRIALS_MAX
    assert len({tuple(sorted((key, trial.overrides[key]) for key in AXES)) for trial in found}) == 4
    asked = []
    render_learning(results, lambda trial_id: asked.append(trial_id) or [])
    assert asked == [trial.id for trial in found]
