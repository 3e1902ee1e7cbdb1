"""Which cell of a sweep stands for which model of the paper, and which of its values for which column. Pure.

A cell stands for a model by its objective, its conditioning, its transforms and its predictor. The predictor is known
by its preset, so only sweeps with an axis `predictor` are set beside the paper. A model for which two cells could stand
(the sweep varies something else, too) is left out.
"""

from collections import Counter
from collections.abc import Mapping
from fnmatch import fnmatchcase
from statistics import fmean
from typing import Any

from dashboards.ablation import Cell, Table
from dashboards.paper import Column, Model

PREDICTORS = {
    "d12w384": "12×384",
    "d18w384": "18×384",
    "d36w512": "36×512",
    "d2w64": "12×384",
    "d4w64": "18×384",
    "d6w96": "36×512",
}
"""Preset -> the predictor of the paper: its own, and those in their places at the size of the demo."""

STRONG_FROM = 0.8
"""Jitter of this maximum of brightness is the strong one; the default's is 0.4."""


def paper_rows(table: Table) -> dict[Model, Cell]:
    """The cells that stand for a model of the paper alone."""
    found = [(model, cell) for cell in table.cells if (model := model_of(cell))]
    times = Counter(model for model, _ in found)
    return {model: cell for model, cell in found if times[model] == 1}


def model_of(cell: Cell) -> Model | None:
    """The model of the paper that a cell stands for; None where it is none of these."""
    predictor = PREDICTORS.get(str(cell.levels.get("predictor")))
    if predictor is None or not cell.trials:
        return None
    config = cell.trials[0].config
    objective, transforms = str(config.get("objective.kind", "iwm")), transforms_of(config)
    if objective == "ijepa":
        return Model(objective, predictor, transforms, conditioning="none")
    return Model(objective, predictor, transforms, str(config.get("conditioning.kind", "feature")))


def transforms_of(config: Mapping[str, Any]) -> str:
    """`strong`, `destructive` or `jitter`, as the paper's rows are called."""
    if float(config.get("photometric.brightness_max", 0.4)) >= STRONG_FROM:
        return "strong"
    destructive = ("photometric.grayscale_p", "photometric.blur_p", "photometric.solarize_p")
    return "destructive" if any(config.get(key, 1.0) for key in destructive) else "jitter"


def values(cell: Cell, column: Column) -> dict[int, float]:
    """By seed, what the cell has for a column of the paper, in the column's unit."""
    scale = 100.0 if column.percent else 1.0
    scores = [cell.scores(label) for label in cell.evaluations if fnmatchcase(label, column.label)]
    shared = [seed for seed in (scores[0] if scores else ()) if all(seed in known for known in scores)]
    if not shared and column.metric:
        return {seed: scale * value for seed, value in cell.values(column.metric).items()}
    return {seed: scale * fmean(known[seed] for known in scores) for seed in shared}
