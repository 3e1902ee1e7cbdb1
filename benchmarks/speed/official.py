"""One step of I-JEPA's published code, from a checkout of facebookresearch/ijepa that the user points to.

Nothing of it is copied here: its modules are imported from the checkout and called in the order in which its train.py
calls them. What its data loader does, masks among it, is done before the clock starts. Two things of train.py are left
out, both in its favour: DistributedDataParallel, and the loader.

Shapes: B batch, C channels, H height, W width, N patches, D width, K context patches, M patches of a target block.
"""

import copy
import importlib
import logging
import sys
from pathlib import Path
from types import SimpleNamespace

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.speed.cases import Case
from benchmarks.speed.contenders import Contender
from benchmarks.speed.stages import Watched

BLOCKS = 4
MODULES = {
    "helper": "src.helper",
    "masks": "src.masks.utils",
    "tensors": "src.utils.tensors",
    "logging": "src.utils.logging",
}


def load(checkout: Path) -> SimpleNamespace:
    """The checkout's modules.

    Raises:
        FileNotFoundError: this is no checkout of it.
    """
    if not (checkout / "src" / "helper.py").is_file():
        raise FileNotFoundError(f"{checkout} is no checkout of facebookresearch/ijepa: it has no src/helper.py")
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)  # first, or its own goes to standard output
    sys.path.insert(0, str(checkout))
    try:
        return SimpleNamespace(**{name: importlib.import_module(module) for name, module in MODULES.items()})
    finally:
        sys.path.remove(str(checkout))


def official(case: Case, *, checkout: Path, device: torch.device) -> Contender:
    """Its step at the sizes of `case`, on normalised images and masks that lie on the device."""
    theirs = _Official(load(checkout), case=case, device=device)
    with FlopCounterMode(display=False) as counter:
        theirs.step()
    return Contender(
        name="official",
        step=theirs.step,
        flops=counter.get_total_flops() / case.batch,
        watched=Watched(
            target=theirs.target, encoder=theirs.encoder, predictor=theirs.predictor, optimizer=theirs.optimizer
        ),
    )


class _Official:
    """Its networks, optimiser and schedules, and one step of them."""

    def __init__(self, code: SimpleNamespace, *, case: Case, device: torch.device) -> None:
        self._code, self._bf16, self._device = code, case.train.precision == "bf16", device
        self.encoder, self.predictor = code.helper.init_model(
            device=device,
            patch_size=case.patch,
            model_name=case.size.official,
            crop_size=case.image,
            pred_depth=case.predictor_depth,
            pred_emb_dim=case.predictor_width,
        )
        self.target = copy.deepcopy(self.encoder).requires_grad_(False)
        self.optimizer, self._scaler, self._lr, self._decay = code.helper.init_opt(
            encoder=self.encoder,
            predictor=self.predictor,
            wd=0.04,
            final_wd=0.4,
            start_lr=2e-4,
            ref_lr=1e-3,
            final_lr=1e-6,
            iterations_per_epoch=1000,
            warmup=1,
            num_epochs=10,
            use_bfloat16=self._bf16,
        )
        drawn = torch.Generator().manual_seed(0)
        self._image_BCHW = torch.randn(case.batch, 3, case.image, case.image, generator=drawn).to(device)
        choose = Chooser(case, generator=drawn, device=device)
        self._context = [choose(case.context)]
        self._blocks = [choose(case.block) for _ in range(BLOCKS)]

    def step(self) -> float:
        """Schedules, both forward passes, loss, backward, AdamW, gradient statistics, moving average."""
        self._lr.step()
        self._decay.step()
        with torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=self._bf16):
            loss = self._loss()
        if self._scaler is None:
            loss.backward()
            self.optimizer.step()
        else:
            self._scaler.scale(loss).backward()
            self._scaler.step(self.optimizer)
            self._scaler.update()
        self._code.logging.grad_logger(self.encoder.named_parameters())
        self.optimizer.zero_grad()
        with torch.no_grad():
            for weight, average in zip(self.encoder.parameters(), self.target.parameters(), strict=True):
                average.data.mul_(0.996).add_(0.004 * weight.detach().data)
        return float(loss.detach())

    def _loss(self) -> Tensor:
        with torch.no_grad():
            h_BND = self.target(self._image_BCHW)
            h_BND = functional.layer_norm(h_BND, h_BND.shape[-1:])
            h = self._code.masks.apply_masks(h_BND, self._blocks)
            h = self._code.tensors.repeat_interleave_batch(h, len(h_BND), repeat=len(self._context))
        z = self.predictor(self.encoder(self._image_BCHW, self._context), self._context, self._blocks)
        return functional.smooth_l1_loss(z, h)


class Chooser:
    """Draws patches of every image, in raster order, as its collator hands them over."""

    def __init__(self, case: Case, *, generator: torch.Generator, device: torch.device) -> None:
        self._case, self._generator, self._device = case, generator, device

    def __call__(self, count: int) -> Tensor:
        """`count` patches of each image, int64 [B, count]."""
        key_BN = torch.rand(self._case.batch, self._case.patches, generator=self._generator)
        return key_BN.argsort(1)[:, :count].sort(1).values.to(self._device)
