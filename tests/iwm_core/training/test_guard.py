import math

import torch

from iwm_core.data.datasets import load
from iwm_core.data.loader import batch_at
from iwm_core.training.guard import NonFiniteGuard, is_finite, keep_batch
from iwm_core.training.step import Outcome

CPU = torch.device("cpu")


def outcome(step, *, loss=0.5, grad_norm=1.0):
    pooled_BD = torch.zeros(1, 1)
    return Outcome(
        step=step, loss=torch.tensor(loss), target_BD=pooled_BD, prediction_BD=pooled_BD,
        grad_norm=torch.tensor(grad_norm), lr=0.1, ema=0.9,
    )  # fmt: skip


def test_sound_steps_leave_it_silent():
    guard = NonFiniteGuard(device=CPU)
    guard.watch(outcome(0))
    assert guard.first_broken_step() is None


def test_the_first_broken_step_is_remembered():
    guard = NonFiniteGuard(device=CPU)
    for step, loss, grad_norm in [(4, 0.5, 1.0), (5, 0.5, math.inf), (6, math.nan, 1.0), (7, 0.5, 1.0)]:
        guard.watch(outcome(step, loss=loss, grad_norm=grad_norm))
    assert guard.first_broken_step() == 5


def test_one_weight_that_is_not_finite_is_seen():
    layer = torch.nn.Linear(3, 3)
    assert is_finite(layer)
    with torch.no_grad():
        layer.bias[1] = math.inf
    assert not is_finite(layer)


def test_the_kept_batch_is_what_the_step_saw(tiny, tmp_path):
    batch = batch_at(load(tiny.data, split="train", root=""), tiny, 5)
    file = keep_batch(batch, config=tiny, folder=tmp_path / "new")
    kept = torch.load(file, weights_only=True)
    assert (file.name, kept["step"]) == ("nonfinite-step-00000005.pt", 5)
    assert torch.equal(kept["image_BCHW"], batch.image_BCHW)
    assert {"index_B", "x_BCHW", "y_BCHW", "a_BA", "context_BK", "target_BM"} <= set(kept)
