import csv
import io

from dashboards.cells import tabulate
from dashboards.pages import exports
from dashboards.pages.heat import heat
from dashboards.pages.lanes import lanes
from dashboards.report.document import to_latex
from orchestrator.trial.lifecycle import Point
from tests.fakes.results import sweep

RESULTS = sweep(
    {"conditioning": ["none", "feature"], "predictor.depth": [2, 4]},
    measure=lambda levels, seed: {
        "mrr": 0.1 * float(levels["predictor.depth"] or 0) + (levels["conditioning"] == "feature")
    },
    seeds=(0, 1),
)


def read(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_every_attempt_is_a_row():
    rows = read(exports.attempts_csv(lanes(RESULTS, now=0.0)))
    assert len(rows) == 8
    assert rows[0]["trial_id"] == RESULTS.trials[0].id
    assert (rows[0]["end"], rows[0]["to_step"]) == ("finished", "100")


def test_every_effect_is_a_row():
    rows = read(exports.effects_csv(tabulate(RESULTS)))
    assert [(row["kind"], row["axis"]) for row in rows] == [
        ("main", "conditioning"),
        ("main", "predictor.depth"),
        ("interaction", "conditioning x predictor.depth"),
    ]
    assert float(rows[0]["difference"]) == 1.0
    assert {row["metric"] for row in rows} == {"mrr"}


def test_points_keep_every_digit():
    (row,) = read(exports.points_csv([Point(key="loss", step=3, value=0.1 + 0.2, t=1.5, attempt=0)]))
    assert float(row["value"]) == 0.1 + 0.2


def test_the_grid_and_the_attempts_are_tables_for_a_paper():
    shown = heat(tabulate(RESULTS))
    assert "feature & 1.200 & 1.400" in to_latex(exports.grid("toy", shown))
    attempts = exports.attempts("toy", lanes(RESULTS, now=0.0))
    assert to_latex(attempts).count("finished") == 8
