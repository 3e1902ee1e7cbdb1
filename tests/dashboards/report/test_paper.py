from collections import Counter
from fnmatch import fnmatchcase

import pytest

from dashboards.cells import tabulate
from dashboards.report.paper import (
    CORRELATIONS,
    EQUI,
    IJEPA,
    INV,
    SHEETS,
    Column,
    Model,
    model_of,
    paper_rows,
    transforms_of,
    values,
)
from iwm_core.config import flatten, to_dict
from orchestrator.planning.expand import expand
from orchestrator.trial.lifecycle import State, TrialStatus
from orchestrator.trial.results import TrialResult
from tests.fakes.paper_sweep import JITTER, paper_sweep
from tests.fakes.results import finished, results, trial


def test_names_are_told_apart():
    for sheet in SHEETS:
        titles = Counter(column.title for column in sheet.columns)
        assert max(titles.values()) == 1
        for column in sheet.columns:
            assert len({model.name for model in column.values}) == len(column.values)


def test_values_are_in_their_unit():
    for sheet in SHEETS:
        for column in sheet.columns:
            low, high = (30, 100) if column.percent else (0, 1)
            assert all(low <= value <= high for value in column.values.values())


def test_correlations_are_of_columns():
    titles = {column.title for sheet in SHEETS for column in sheet.columns}
    assert {item.with_column for item in CORRELATIONS} <= titles


MRR = SHEETS[0].columns[0]


def test_the_models_of_a_sweep():
    models = paper_rows(tabulate(paper_sweep()))
    assert list(models) == [INV, EQUI, Model("iwm", "18×384", conditioning="sequence"), MRR_NONE]
    assert values(models[INV], MRR) == pytest.approx({0: 0.09, 1: 0.10, 2: 0.11})


MRR_NONE = Model("iwm", "18×384", conditioning="none")


def test_protocols_count_before_what_pretraining_has_measured():
    (cell, *_) = tabulate(paper_sweep(seeds=1)).cells
    column = Column("any", "predictor_*", {INV: 1.0}, metric="mrr")
    assert values(cell, column) == pytest.approx({0: 52.25})
    assert values(cell, Column("both", "*predictor*", {})) == pytest.approx({0: (52.25 + 51.0) / 2})
    assert values(cell, Column("none", "segmentation", {})) == {}


def test_a_model_of_two_cells_is_left_out():
    both = [trial({"predictor": "d12w384", "optim.lr": lr}, status=finished({"mrr": 0.1})) for lr in (1, 2)]
    assert paper_rows(tabulate(results(both, axes=["predictor", "optim.lr"]))) == {}


def test_only_a_known_predictor_stands_for_one():
    (cell,) = tabulate(results([trial({"predictor": "toy"}, status=finished({}))], axes=["predictor"])).cells
    assert model_of(cell) is None


def test_ijepa_has_no_conditioning():
    ijepa = trial({"predictor": "d2w64"}, status=finished({}), config={"objective.kind": "ijepa"})
    (cell,) = tabulate(results([ijepa], axes=["predictor"])).cells
    assert model_of(cell) == IJEPA


def test_transforms_are_known_by_their_settings():
    assert transforms_of({}) == "destructive"
    assert transforms_of(JITTER) == "jitter"
    assert transforms_of({"photometric.brightness_max": 0.8}) == "strong"


TRANSFERS = {"inat18_attentive", "sun397_attentive", "places205_attentive"}


@pytest.mark.parametrize(("name", "without"), [("paper_tables", set()), ("tiny_tables", TRANSFERS)])
def test_every_value_of_the_paper_has_its_trial(name, without):
    sweep, planned = expand(name, ["seed=0"]), TrialStatus(state=State.PLANNED)
    trials = [
        TrialResult(
            id=cell.trial.id, overrides=cell.overrides, config=flatten(to_dict(cell.trial.config)), status=planned
        )
        for cell in sweep.cells
    ]
    models = paper_rows(tabulate(results(trials, axes=sweep.axes)))
    for column in (column for sheet in SHEETS for column in sheet.columns if column.label not in without):
        for model in column.values:
            labels = [label for label in models[model].evaluations if fnmatchcase(label, column.label)]
            assert labels or column.metric, (model.name, column.title)
