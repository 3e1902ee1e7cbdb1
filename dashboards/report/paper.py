"""The tables of Image World Models (arXiv 2403.00504) as data, and the cells of a sweep that correspond to them. Pure.

Every number is second-hand, from notes made of the complete paper, and carries their mark [C2]. None
comes with an interval. A number that the notes do not give is absent, never zero. MRR lies in [0, 1]; everything else
is in percent. Sections are those of the paper's experiments as the notes number them:

    6     MRR of conditionings, and of training transforms by predictor
    7.2   ImageNet top-1 of four ways of fine-tuning; ViT-B/16, 300 epochs, as in 6
    7.3   ADE20k mIoU of three of them
    7.4   the same with ViT-L
    7.5   one predictor for four tasks against four of them
    7.6   linear and attentive probes

One setting is called `over-strong` there, with MRR 0.85, linear 34.3 and predictor fine-tuning 81.7. It is taken to be
the strong jitter of 6 under the deeper predictor, whose MRR is the same.

A cell corresponds to a model by its objective, conditioning, transforms and predictor. The predictor is known by its
preset, so only sweeps with an axis `predictor` are compared. A model to which two cells correspond (the sweep varies
something else, too) is left out.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from statistics import fmean
from typing import Any

from dashboards.cells import Cell, Table

C2 = "[C2]"


@dataclass(frozen=True)
class Model:
    """A pretrained model of the paper, by the settings of the trial that corresponds to it."""

    objective: str
    predictor: str
    transforms: str = "destructive"
    conditioning: str = "feature"

    @property
    def name(self) -> str:
        """The paper's name, or the settings where it has none."""
        if self in NAMES:
            return NAMES[self]
        if self.objective != "iwm":
            return f"I-JEPA, {self.transforms}"
        return f"IWM {self.predictor}, {self.conditioning}, {self.transforms}"


IJEPA = Model("ijepa", "12×384", conditioning="none")
INV, EQUI, LARGE = (Model("iwm", predictor) for predictor in ("12×384", "18×384", "36×512"))
NAMES = {IJEPA: "I-JEPA", INV: "IWM-Inv", EQUI: "IWM-Equi", LARGE: "IWM-Equi, ViT-L"}


@dataclass(frozen=True)
class Column:
    """One column of a table: the models' values of one measure.

    `label` is a shell pattern of our protocols that measure it; where several match, the mean of their scores counts.
    `metric` is the one that pretraining measures at its end, which counts where no such protocol has finished.
    """

    title: str
    label: str
    values: Mapping[Model, float]
    metric: str = ""
    percent: bool = True


@dataclass(frozen=True)
class Sheet:
    """One table. `crosswise`: its columns share a scale, so that the order within a row means something, too."""

    section: str
    title: str
    columns: tuple[Column, ...]
    crosswise: bool = False


def _transformed(objective: str, predictor: str, conditioning: str, *values: float) -> dict[Model, float]:
    kinds = ("jitter", "destructive", "strong")
    return {Model(objective, predictor, kind, conditioning): value for kind, value in zip(kinds, values, strict=True)}


STRONG = Model("iwm", "18×384", "strong")

SHEETS = (
    Sheet(
        "6",
        "Conditioning",
        (
            Column(
                "MRR",
                "mrr",
                {
                    Model("iwm", "18×384", conditioning="none"): 0.00,
                    Model("iwm", "18×384", conditioning="sequence"): 0.82,
                    EQUI: 0.79,
                },
                metric="mrr",
                percent=False,
            ),
        ),
    ),
    Sheet(
        "6",
        "Training transforms and predictor",
        (
            Column(
                "MRR",
                "mrr",
                {
                    **_transformed("ijepa", "12×384", "none", 0.00, 0.00, 0.00),
                    **_transformed("iwm", "12×384", "feature", 0.11, 0.09, 0.81),
                    **_transformed("iwm", "18×384", "feature", 0.25, 0.79, 0.85),
                },
                metric="mrr",
                percent=False,
            ),
        ),
    ),
    Sheet(
        "7.2",
        "ImageNet-1k top-1 of fine-tuning",
        (
            Column("encoder fine-tuning", "encoder_finetune", {IJEPA: 83.0, INV: 83.3, EQUI: 82.9}),
            Column("random predictor", "random_predictor", {IJEPA: 79.1, INV: 80.5, EQUI: 81.5}),
            Column("predictor fine-tuning", "predictor_finetune", {IJEPA: 80.0, INV: 81.3, EQUI: 83.3, STRONG: 81.7}),
            Column("end to end", "end_to_end", {IJEPA: 82.0, INV: 82.7, EQUI: 84.4}),
        ),
        crosswise=True,
    ),
    Sheet(
        "7.3",
        "ADE20k mIoU",
        (
            Column("encoder fine-tuning", "segmentation_encoder", {INV: 45.6, EQUI: 44.2}),
            Column("predictor fine-tuning", "segmentation_predictor", {INV: 45.7, EQUI: 46.8}),
            Column("end to end", "segmentation_end_to_end", {INV: 46.5, EQUI: 47.0}),
        ),
        crosswise=True,
    ),
    Sheet(
        "7.4",
        "ImageNet-1k top-1 of fine-tuning, ViT-L",
        (
            Column("encoder fine-tuning", "encoder_finetune", {LARGE: 83.7}),
            Column("predictor fine-tuning", "predictor_finetune", {LARGE: 85.0}),
            Column("end to end", "end_to_end", {LARGE: 85.4}),
        ),
        crosswise=True,
    ),
    Sheet(
        "7.5",
        "One predictor for several tasks",
        (
            Column("one for each task, mean", "single_*", {EQUI: 73.4}),
            Column("one for all, mean", "multitask", {EQUI: 73.5}),
        ),
        crosswise=True,
    ),
    Sheet(
        "7.6",
        "Probes",
        (
            Column("linear", "linear", {INV: 74.5, EQUI: 67.5, STRONG: 34.3}, metric="linear_probe_top1"),
            Column("attentive", "attentive", {INV: 77.0, EQUI: 75.1}),
            Column("iNat18 attentive", "inat18_attentive", {INV: 51.6, EQUI: 54.2}),
            Column("SUN397 attentive", "sun397_attentive", {INV: 71.0, EQUI: 71.7}),
            Column("Places205 attentive", "places205_attentive", {INV: 59.4, EQUI: 60.5}),
        ),
    ),
)


@dataclass(frozen=True)
class Correlation:
    """Pearson's, over the variants of IWM, of MRR with another column of SHEETS."""

    title: str
    with_column: str
    value: float


CORRELATIONS = (
    Correlation("MRR with predictor fine-tuning", "predictor fine-tuning", 0.93),
    Correlation("MRR with the linear probe", "linear", -0.85),
)


PREDICTORS = {
    "d12w384": "12×384",
    "d18w384": "18×384",
    "d36w512": "36×512",
    "d2w64": "12×384",
    "d4w64": "18×384",
    "d6w96": "36×512",
}
"""Preset -> predictor of the paper: those of its own size, and their counterparts at the size of the demo."""

STRONG_FROM = 0.8
"""From this maximum of brightness on, jitter is the strong one; the default is 0.4."""


def paper_rows(table: Table) -> dict[Model, Cell]:
    """Model -> the one cell that corresponds to it."""
    found = [(model, cell) for cell in table.cells if (model := model_of(cell))]
    times = Counter(model for model, _ in found)
    return {model: cell for model, cell in found if times[model] == 1}


def model_of(cell: Cell) -> Model | None:
    """The model of the paper that a cell corresponds to; None where there is none."""
    predictor = PREDICTORS.get(str(cell.levels.get("predictor")))
    if predictor is None or not cell.trials:
        return None
    config = cell.trials[0].config
    objective, transforms = str(config.get("objective.kind", "iwm")), transforms_of(config)
    if objective == "ijepa":
        return Model(objective, predictor, transforms, conditioning="none")
    return Model(objective, predictor, transforms, str(config.get("conditioning.kind", "feature")))


def transforms_of(config: Mapping[str, Any]) -> str:
    """`strong`, `destructive` or `jitter`, the names of the paper's rows."""
    if float(config.get("photometric.brightness_max", 0.4)) >= STRONG_FROM:
        return "strong"
    destructive = ("photometric.grayscale_p", "photometric.blur_p", "photometric.solarize_p")
    return "destructive" if any(config.get(key, 1.0) for key in destructive) else "jitter"


def values(cell: Cell, column: Column) -> dict[int, float]:
    """The cell's values for a column of the paper by seed, in the column's unit."""
    scale = 100.0 if column.percent else 1.0
    scores = [cell.scores(label) for label in cell.evaluations if fnmatchcase(label, column.label)]
    shared = [seed for seed in (scores[0] if scores else ()) if all(seed in known for known in scores)]
    if not shared and column.metric:
        return {seed: scale * value for seed, value in cell.values(column.metric).items()}
    return {seed: scale * fmean(known[seed] for known in scores) for seed in shared}
