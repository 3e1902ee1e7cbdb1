"""A stand-in for a checkout of facebookresearch/ijepa: the names and signatures that the benchmarks call, in small."""

from pathlib import Path

HELPER = """
import torch
from torch import nn
from src.masks.utils import apply_masks


class Encoder(nn.Module):
    def __init__(self, patch):
        super().__init__()
        self.patch, self.embed = patch, nn.Linear(3 * patch * patch, 8)

    def forward(self, x, masks=None):
        z = self.embed(nn.functional.unfold(x, self.patch, stride=self.patch).transpose(1, 2))
        return z if masks is None else apply_masks(z, masks)


class Predictor(nn.Module):
    def __init__(self):
        super().__init__()
        self.mix, self.token = nn.Linear(8, 8), nn.Parameter(torch.zeros(8))

    def forward(self, z, context, blocks):
        z = self.mix(z).mean(1, keepdim=True).repeat(len(blocks), blocks[0].shape[1], 1)
        return z + self.token


class Schedule:
    def step(self):
        return 0.0


def init_model(device, patch_size, model_name, crop_size, pred_depth, pred_emb_dim):
    return Encoder(patch_size).to(device), Predictor().to(device)


def init_opt(encoder, predictor, use_bfloat16, **schedules):
    optimizer = torch.optim.AdamW([*encoder.parameters(), *predictor.parameters()])
    return optimizer, None, Schedule(), Schedule()
"""

MASKS = """
import torch


def apply_masks(x, masks):
    return torch.cat([torch.gather(x, 1, m[:, :, None].expand(-1, -1, x.shape[-1])) for m in masks])
"""

TENSORS = """
def repeat_interleave_batch(x, B, repeat):
    return x
"""

LOGGING = """
def grad_logger(named):
    return sum(float(weight.grad.norm()) for _, weight in named)
"""


def make_checkout(folder: Path) -> Path:
    """Writes it and returns its path."""
    sources = {"helper": HELPER, "masks/utils": MASKS, "utils/tensors": TENSORS, "utils/logging": LOGGING}
    for name, source in sources.items():
        file = folder / "src" / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source)
    return folder
