r"""What a log line says.

Every number but the wall clock's is a function of the step it stands at (its own loss, not an average since the process
began), so an interrupted run writes the lines of an uninterrupted one. All of them are of the global batch, on any
number of ranks: the mean of the ranks' losses, the health of the pooled latents of all their samples.

    images_per_s      of all ranks together
    data_wait_share   of the time since the last line, on the rank that waited longest
    mfu               images/s * FLOPs per image / (peak FLOP/s * ranks), where a peak is known (`flops`)

Shapes: B batch, D width.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from iwm_core.evaluation.health import pooled_health
from iwm_core.training.alarms import Alarms
from iwm_core.training.distributed import ALONE, World
from iwm_core.training.step import Outcome


class Meter:
    """Reads the metrics of a step and times the steps between two readings."""

    def __init__(
        self, *, world: World = ALONE, alarms: Alarms | None = None, images_per_s_at_peak: float | None = None
    ) -> None:
        """`images_per_s_at_peak`: what all ranks together would reach at their devices' peak, where that is known."""
        self._world = world
        self._alarms = alarms or Alarms()
        self._at_peak = images_per_s_at_peak
        self._restart()

    def _restart(self) -> None:
        self._since, self._waited_s, self._images = time.perf_counter(), 0.0, 0

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Counts the time inside as waiting for data."""
        began = time.perf_counter()
        yield
        self._waited_s += time.perf_counter() - began

    def count(self, images: int) -> None:
        """Counts images that were trained on, those of all ranks."""
        self._images += images

    def read(self, outcome: Outcome) -> dict[str, float]:
        """The metrics of one step, read from the device in one transfer, and the speed since the last reading.

        Every rank has to ask.
        """
        metrics = {**_read(outcome, world=self._world), "lr": outcome.lr, "ema": outcome.ema}
        metrics |= self._speed()
        return metrics | self._alarms.heed(metrics, step=outcome.step + 1)

    def _speed(self) -> dict[str, float]:
        """Metrics of the wall clock since the last reading."""
        elapsed_s = time.perf_counter() - self._since
        longest_wait = -self._world.least(torch.tensor(-self._waited_s / elapsed_s, dtype=torch.float64))
        speed = {"images_per_s": self._images / elapsed_s, "data_wait_share": float(longest_wait)}
        if self._at_peak:
            speed["mfu"] = speed["images_per_s"] / self._at_peak
        self._restart()
        return speed


def _read(outcome: Outcome, *, world: World) -> dict[str, float]:
    """Loss, gradient and health, in one transfer."""
    targets, predictions = (pooled_health(world.gather(m_BD)) for m_BD in (outcome.target_BD, outcome.prediction_BD))
    values = {
        "loss": world.mean(outcome.loss),
        "grad_norm": outcome.grad_norm,
        "target_std": targets["target_std"],
        "prediction_std": predictions["target_std"],
        "effective_rank": targets["effective_rank"],
    }
    return dict(zip(values, torch.stack([value.float() for value in values.values()]).tolist(), strict=True))
