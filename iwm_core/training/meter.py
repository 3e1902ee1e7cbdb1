"""What a log line says.

Every number but the wall clock's is a function of the step it stands at (its own loss, not an average since the process
began), so an interrupted run writes the lines of an uninterrupted one.

Shapes: B batch, N patches, D width.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from iwm_core.evaluation.health import COLLAPSE_STD, alarm_sentence, collapse_health
from iwm_core.training.step import Outcome

log = logging.getLogger(__name__)


class Meter:
    """Reads the metrics of a step and times the steps between two readings."""

    def __init__(self) -> None:
        self._warned = False
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
        """Counts images that were trained on."""
        self._images += images

    def read(self, outcome: Outcome) -> dict[str, float]:
        """The metrics of one step, read from the device in one transfer, and the speed since the last reading."""
        metrics = {**_read(outcome), "lr": outcome.lr, "ema": outcome.ema}
        metrics["collapse_alarm"] = float(metrics["target_std"] < COLLAPSE_STD)
        self._warn(metrics, step=outcome.step + 1)
        elapsed_s = time.perf_counter() - self._since
        speed = {"images_per_s": self._images / elapsed_s, "data_wait_share": self._waited_s / elapsed_s}
        self._restart()
        return metrics | speed

    def _warn(self, metrics: dict[str, float], *, step: int) -> None:
        """Says once that the targets have collapsed."""
        if metrics["collapse_alarm"] and not self._warned:
            self._warned = True
            log.warning("step %d: %s", step, alarm_sentence(metrics["target_std"]))


def _read(outcome: Outcome) -> dict[str, float]:
    """Loss, gradient and health, in one transfer."""
    targets, predictions = collapse_health(outcome.terms.h_BND), collapse_health(outcome.terms.p_BMD)
    values = {
        "loss": outcome.terms.loss.detach(),
        "grad_norm": outcome.grad_norm,
        "target_std": targets["target_std"],
        "prediction_std": predictions["target_std"],
        "effective_rank": targets["effective_rank"],
    }
    return dict(zip(values, torch.stack([value.float() for value in values.values()]).tolist(), strict=True))
