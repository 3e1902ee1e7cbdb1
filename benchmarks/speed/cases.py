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
    official: bool = False  # measure I-JEPA's code on it, too

    @property
    def size(self) -> Size:
        return SIZES[self.encoder]

    @property
    def patches(self) -> int:
        return (self.image // self.patch) ** 2

    @property
    def name(self) -> str:
        """How a row is called; `59 to 87` are its context and target patches."""
        precision = self.train.precision + (" compiled" if self.train.compile else "")
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

CUDA = (
    Case(encoder="B", predictor_depth=12, predictor_width=384, batch=256, train=_EAGER, official=True),
    Case(encoder="B", predictor_depth=18, predictor_width=384, batch=256, context=109, target=84, train=_EAGER),
    Case(encoder="B", predictor_depth=18, predictor_width=384, batch=256, context=109, target=84, train=_COMPILED),
    Case(encoder="B", predictor_depth=18, predictor_width=384, batch=256, train=_EAGER),
    Case(encoder="B", predictor_depth=18, predictor_width=384, batch=256, train=_COMPILED),
    Case(encoder="L", predictor_depth=36, predictor_width=512, batch=128, context=109, target=84, train=_COMPILED),
    Case(encoder="L", predictor_depth=36, predictor_width=512, batch=128, train=_COMPILED),
)
"""bf16: context 109 is the faithful complement (56 % of the patches; with 87 targets hardly a draw would fit), context
59 the preset `lean` (30 %)."""

PIPELINE = {"cpu": CPU[0], "cuda": CUDA[4]}
"""The case whose step the pipeline feeds."""
