"""What is measured: networks, batch and counts, as the trial configuration that a user would write.

A case names the sizes that our step and the official one share. `target` is how many patches are predicted: the union
of four blocks for `iwm` (87 of 196 on average), and `block` is how many each of the four sequences of I-JEPA predicts.
"""

import dataclasses
from dataclasses import dataclass

from iwm_core.config import (
    ConditioningConfig,
    DataConfig,
    EncoderConfig,
    MasksConfig,
    ObjectiveConfig,
    PredictorConfig,
    TrainConfig,
    TrialConfig,
)


@dataclass(frozen=True, kw_only=True)
class Size:
    """A Vision Transformer, and what I-JEPA's code calls it."""

    official: str
    width: int
    depth: int
    heads: int


SIZES = {
    "Ti": Size(official="vit_tiny", width=192, depth=12, heads=3),
    "S": Size(official="vit_small", width=384, depth=12, heads=6),
    "B": Size(official="vit_base", width=768, depth=12, heads=12),
    "L": Size(official="vit_large", width=1024, depth=24, heads=16),
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One row's sizes."""

    encoder: str  # of SIZES
    predictor_depth: int
    predictor_width: int
    batch: int
    image: int = 224
    patch: int = 16
    context: int = 59
    target: int = 87
    block: int = 34
    train: TrainConfig = dataclasses.field(default_factory=TrainConfig)
    by_block: bool = False  # compile each block by itself in place of whole networks: minutes less to wait for
    official: bool = False  # measure I-JEPA's code on it, too

    @property
    def size(self) -> Size:
        return SIZES[self.encoder]

    @property
    def patches(self) -> int:
        return (self.image // self.patch) ** 2

    @property
    def is_compiled(self) -> bool:
        return self.train.compile or self.by_block

    @property
    def name(self) -> str:
        """How a row is called; `59 to 87` are its context and target patches."""
        compiled = " compiled" if self.train.compile else " compiled by block" if self.by_block else ""
        precision = self.train.precision + compiled
        return (
            f"ViT-{self.encoder}/{self.patch}, {self.predictor_depth}x{self.predictor_width}, {self.image} px, "
            f"batch {self.batch}, {self.context} to {self.target}, {precision}"
        )

    def config(self, objective: str) -> TrialConfig:
        """The trial of `objective` at these sizes."""
        blocks = objective == "ijepa"
        return TrialConfig(
            data=DataConfig(kind="random", image_size=self.image),
            encoder=EncoderConfig(
                patch_size=self.patch, width=self.size.width, depth=self.size.depth, heads=self.size.heads
            ),
            predictor=PredictorConfig(width=self.predictor_width, depth=self.predictor_depth, heads=self.size.heads),
            masks=MasksConfig(
                kind="multiblock" if blocks else "union",
                sequences="blocks" if blocks else "union",
                context_ratio=self.context / self.patches,
                target_ratio=(self.block if blocks else self.target) / self.patches,
            ),
            conditioning=ConditioningConfig(kind="none" if blocks else "feature"),
            objective=ObjectiveConfig(kind=objective, loss="smooth_l1" if blocks else "mse"),
            train=dataclasses.replace(self.train, batch_size=self.batch),
        )


CPU = (
    Case(encoder="S", predictor_depth=12, predictor_width=384, batch=8, official=True),
    Case(encoder="S", predictor_depth=12, predictor_width=384, batch=8, target=136, official=True),
)
"""One core in fp32. First the patches of the official step's four blocks, each predicted once; then as many predictions
as it makes, which are 4 x 34, since there blocks that overlap are predicted more than once."""

_EAGER = TrainConfig(precision="bf16")
_COMPILED = TrainConfig(precision="bf16", compile=True)

_B18 = Case(encoder="B", predictor_depth=18, predictor_width=384, batch=256, train=_EAGER)
_B12 = dataclasses.replace(_B18, predictor_depth=12)
_L36 = dataclasses.replace(_B18, encoder="L", predictor_depth=36, predictor_width=512, batch=128)
_L12 = dataclasses.replace(_L36, predictor_depth=12, predictor_width=384)
_S12 = dataclasses.replace(_B12, encoder="S", batch=512)


def _paper(case: Case) -> Case:
    """The case at the paper's context: the plain complement, 56 %. With 87 targets hardly a draw would fit."""
    return dataclasses.replace(case, context=109, target=84)


def _by_block(case: Case) -> Case:
    return dataclasses.replace(case, by_block=True)


def _whole(case: Case) -> Case:
    return dataclasses.replace(case, train=_COMPILED)


CUDA = (
    _by_block(_paper(_B18)),
    _whole(_paper(_B18)),
    _by_block(_L36),
    dataclasses.replace(_by_block(_B12), official=True),
    _by_block(_B18),
    _by_block(_paper(_L36)),
    dataclasses.replace(_by_block(_L12), official=True),
    _paper(_B18),
    _by_block(_S12),
    _by_block(_paper(_S12)),
    _B18,
    _whole(_B18),
    _whole(_L36),
)
"""bf16, in order of worth, for the time on a GPU may end after any of them. Context is 30 % of the patches where it is
not the paper's."""

TOY = Case(encoder="Ti", predictor_depth=2, predictor_width=96, batch=2, image=64, context=5, target=6, block=2)
"""To see that a benchmark runs; its figures say nothing."""

PIPELINE = {"cpu": CPU[0], "cuda": CUDA[4]}
"""The case whose step the pipeline feeds."""
