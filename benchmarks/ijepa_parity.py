"""Our loss of I-JEPA beside that of its published code: the same weights, masks and images.

    python benchmarks/ijepa_parity.py CHECKOUT [--json] [--record] [--mask-steps 200]

CHECKOUT is a checkout of facebookresearch/ijepa (CC-BY-NC: it is imported from there, nothing of it is kept here). Our
weights are loaded into its modules by name; positions, masking and the order of the sequences stay its own. Beside the
losses: the largest difference of any gradient, as a share of that weight's largest one, and how many patches its mask
collator and our `masks.official_quirks` leave. `--record` writes tests/golden/ijepa_loss.json, against which a test
holds our loss without a checkout.

Weights, images and masks come from numpy and the trial's seed, so they do not depend on a version of torch or timm.

Shapes: B batch, C channels, H height, W width, N patches, D width, K context patches, S sequences, M targets of one.
"""

import argparse
import importlib
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.speed.official import load
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
from iwm_core.data import official_masks
from iwm_core.objectives import table as objectives
from iwm_core.objectives.ijepa import IJEPA, Drawn
from iwm_core.objectives.objective import Part
from iwm_core.randomness import generator
from iwm_core.training import state
from iwm_core.training.state import TrainState

GOLDEN = Path(__file__).parents[1] / "tests" / "golden" / "ijepa_loss.json"
AGREE = 1e-5
BLOCKS = MasksConfig(kind="multiblock", sequences="blocks", context_ratio=0.25, target_ratio=0.14)
QUIRKS = MasksConfig(kind="multiblock", sequences="blocks", official_quirks=True)
SHAPE = TrialConfig(
    data=DataConfig(kind="random", image_size=112),
    encoder=EncoderConfig(patch_size=8, width=96, depth=3, heads=3),
    predictor=PredictorConfig(width=48, depth=3, heads=3),
    conditioning=ConditioningConfig(kind="none"),
    objective=ObjectiveConfig(kind="ijepa", loss="smooth_l1"),
    train=TrainConfig(batch_size=8),
)


@dataclass(frozen=True)
class Case:
    """Masks and the step that they, the images and the weights are drawn for."""

    masks: MasksConfig
    step: int = 0

    @property
    def config(self) -> TrialConfig:
        """The trial."""
        return TrialConfig(**{**vars(SHAPE), "masks": self.masks})


CASES = {
    "fixed counts": Case(BLOCKS),
    "official quirks, step 0": Case(QUIRKS),
    "official quirks, step 1": Case(QUIRKS, step=1),
}


def ours(case: Case) -> tuple[TrainState, Drawn, Tensor]:
    """Our networks, what they see, and the loss (with its gradient)."""
    config = case.config
    made = state.build(config, device=torch.device("cpu"))
    for offset, network in enumerate((made.networks, made.target)):
        fill(network, draw=generator(config.seed, "weights", 2 * case.step + offset))
    size = (config.train.batch_size, 3, config.data.image_size, config.data.image_size)
    image_BCHW = generator(config.seed, "data", case.step).integers(256, size=size, dtype=np.uint8)
    drawn = IJEPA.draw(Part(image_BCHW=torch.from_numpy(image_BCHW), step=case.step), config)
    return made, drawn, objectives.of(config).loss(made.networks, made.target, drawn, config).loss


@torch.no_grad()
def fill(network: nn.Module, *, draw: np.random.Generator) -> None:
    """Weights that leave nothing at its start: maps keep the scale of what passes, norms and offsets are off theirs."""
    for name, weight in sorted(network.named_parameters()):
        if name.endswith("pos_embed"):
            continue
        centre = 1.0 if "norm" in name and name.endswith("weight") else 0.0
        deviation = weight[0].numel() ** -0.5 if weight.ndim > 1 else 0.1
        weight.copy_(torch.from_numpy(centre + deviation * draw.standard_normal(weight.shape)))


class Theirs:
    """The official networks with our weights."""

    def __init__(self, code: SimpleNamespace, *, config: TrialConfig, made: TrainState) -> None:
        self._code, vit, encoder = code, code.helper.vit, config.encoder
        build = partial(
            vit.VisionTransformer,
            img_size=[config.data.image_size],
            patch_size=encoder.patch_size,
            embed_dim=encoder.width,
            depth=encoder.depth,
            num_heads=encoder.heads,
            norm_layer=partial(nn.LayerNorm, eps=1e-6),
        )
        self.encoder, self.target = build(), build()
        self.predictor = vit.vit_predictor(
            num_patches=config.grid**2,
            embed_dim=encoder.width,
            predictor_embed_dim=config.predictor.width,
            depth=config.predictor.depth,
            num_heads=config.predictor.heads,
        )
        for module, ours in ((self.encoder, made.networks.encoder), (self.target, made.target.encoder)):
            take(module, ours.vit, keep=("pos_embed",))
        take(self.predictor, made.networks.get_submodule("predictor"), keep=("predictor_pos_embed",))

    def loss(self, drawn: Drawn) -> Tensor:
        """Theirs, with its gradient: one context, the target sequences one behind the other."""
        context, blocks = [drawn.masks.context_BK], list(drawn.masks.target_BSM.unbind(1))
        with torch.no_grad():
            h_BND = self.target(drawn.x_BCHW)
            h = self._code.masks.apply_masks(functional.layer_norm(h_BND, h_BND.shape[-1:]), blocks)
            h = self._code.tensors.repeat_interleave_batch(h, len(h_BND), repeat=len(context))
        return functional.smooth_l1_loss(self.predictor(self.encoder(drawn.x_BCHW, context), context, blocks), h)


OUR_NAMES = {
    "predictor_embed": "enter",
    "predictor_blocks": "blocks",
    "predictor_norm": "norm",
    "predictor_proj": "leave",
    "mask_token": "mask_token_D",
}
"""Of the predictor; the encoder's names are timm's own."""


def pairs(theirs: nn.Module, our: nn.Module, *, keep: tuple[str, ...]) -> dict[str, tuple[nn.Parameter, nn.Parameter]]:
    """Their name -> their parameter and ours; all but those in `keep`, which stay theirs."""
    mine, found = dict(our.named_parameters()), {}
    for name, weight in theirs.named_parameters():
        if name not in keep:
            head, dot, tail = name.partition(".")
            found[name] = (weight, mine.pop(OUR_NAMES.get(head, head) + dot + tail))
    assert set(mine) <= {"pos_embed"}, f"weights of ours that theirs lack: {sorted(mine)}"
    return found


@torch.no_grad()
def take(theirs: nn.Module, our: nn.Module, *, keep: tuple[str, ...]) -> None:
    """Our weights into theirs."""
    for their_weight, weight in pairs(theirs, our, keep=keep).values():
        their_weight.copy_(weight.view_as(their_weight))


def compare(name: str, case: Case, *, code: SimpleNamespace) -> dict[str, Any]:
    """Both losses of a case, and the largest difference of their gradients."""
    made, drawn, loss = ours(case)
    theirs = Theirs(code, config=case.config, made=made)
    their_loss = theirs.loss(drawn)
    loss.backward()
    their_loss.backward()
    networks = made.networks
    both = pairs(theirs.encoder, networks.encoder.vit, keep=("pos_embed",)) | pairs(
        theirs.predictor, networks.get_submodule("predictor"), keep=("predictor_pos_embed",)
    )
    return {
        "case": name,
        "context": drawn.masks.context_BK.shape[1],
        "targets": list(drawn.masks.target_BSM.shape[1:]),
        "official": their_loss.item(),
        "ours": loss.item(),
        "difference": abs(loss.item() - their_loss.item()),
        "gradient_difference": max(_difference(*weights) for weights in both.values()),
    }


def _difference(their_weight: Tensor, weight: Tensor) -> float:
    assert their_weight.grad is not None
    assert weight.grad is not None
    theirs, mine = their_weight.grad.flatten(), weight.grad.flatten()
    return ((theirs - mine).abs().max() / theirs.abs().max()).item()


def masks_of(checkout: Path, *, steps: int, batch: int = 128) -> list[dict[str, Any]]:
    """Counts of their collator and of ours over `steps` steps, as the released configurations set it, on 14 x 14."""
    sys.path.insert(0, str(checkout))
    collator = importlib.import_module("src.masks.multiblock").MaskCollator(
        input_size=224,
        patch_size=16,
        enc_mask_scale=(0.85, 1.0),
        pred_mask_scale=(0.15, 0.2),
        aspect_ratio=(0.75, 1.5),
        nenc=1,
        npred=4,
        min_keep=official_masks.KEEP,
    )
    sys.path.remove(str(checkout))
    config = TrialConfig(data=DataConfig(image_size=224), encoder=EncoderConfig(patch_size=16), masks=QUIRKS)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = [collator([torch.zeros(1)] * batch)[1:] for _ in range(steps)]
    mine = [official_masks.draw(config, step, batch=batch) for step in range(steps)]
    return [
        _counted("official", [(context[0].numpy(), torch.stack(target, 1).numpy()) for context, target in theirs]),
        _counted("ours", [(indices.context_BK, indices.target_BSM) for indices in mine]),
    ]


def _counted(name: str, steps: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, Any]:
    context, targets = (np.array([indices[at].shape[-1] for indices in steps]) for at in (0, 1))
    reach = [np.concatenate([indices[at].ravel() for indices in steps]) for at in (0, 1)]
    return {
        "masks": name,
        "steps": len(steps),
        "context_mean": context.mean(),
        "context_deviation": context.std(),
        "targets_mean": targets.mean(),
        "targets_deviation": targets.std(),
        "context_mean_index": reach[0].mean(),
        "targets_mean_index": reach[1].mean(),
        "last_row_or_column": int(sum(((index // 14 == 13) | (index % 14 == 13)).sum() for index in reach)),
    }


def commit_of(checkout: Path) -> str:
    """Its commit's hash."""
    command = ["git", "-C", str(checkout), "rev-parse", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints both tables, or one JSON document; exits with 1 where a loss differs by more than 1e-5."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("checkout", type=Path, help="of facebookresearch/ijepa")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--record", action="store_true", help=f"write {GOLDEN.relative_to(GOLDEN.parents[2])}")
    parser.add_argument("--mask-steps", type=int, default=200, help="steps of the collator; 0: none")
    asked = parser.parse_args(arguments)
    torch.set_num_threads(1)
    checkout = asked.checkout.resolve()
    code = load(checkout)
    losses = [compare(name, case, code=code) for name, case in CASES.items()]
    report = {
        "repository": "https://github.com/facebookresearch/ijepa",
        "commit": commit_of(checkout),
        "command": "python benchmarks/ijepa_parity.py CHECKOUT --record",
        "torch": torch.__version__,
        "losses": losses,
    }
    if asked.record:
        GOLDEN.write_text(json.dumps(report, indent=1) + "\n")
    counted = masks_of(checkout, steps=asked.mask_steps) if asked.mask_steps else []
    if asked.json:
        print(json.dumps({**report, "masks": counted}))
    else:
        for row in (*losses, *counted):
            print("  ".join(f"{key} {_shown(value)}" for key, value in row.items()))
    if max(row["difference"] for row in losses) > AGREE:
        raise SystemExit(1)


def _shown(value: Any) -> str:
    return f"{value:.7g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
