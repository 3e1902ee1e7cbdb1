r"""The metrics of a log line: loss, speed, and how much the latents differ between images.

    m_b            = 1/N sum_n h_bn                      mean-pooled latents of image b (`Terms.pooled`)
    target_std     = 1/D sum_d std_b(m_bd)               over the images of one batch, without Bessel's correction
    prediction_std = the same of the predictions
    effective_rank = exp(-sum_i q_i log q_i),   q_i = s_i / sum_j s_j                   of the targets
    images_per_s     of all ranks together
    data_wait_share  of the time since the last line, on the rank that waited longest
    mfu              images/s * FLOPs per image / (peak FLOP/s * ranks), where a peak is known (`flops`)
    collapse_alarm   1 while target_std < `COLLAPSE_STD`
    starving_alarm   1 while data_wait_share > `STARVING_SHARE` in `STARVING_READINGS` lines or more in a row

Symbols: h_bn the latents of patch n, s_i the singular values of the centred matrix m [B, D]. Source of the rank: RankMe
(Garrido et al., 2023) [RECALLED, high], here on centred and pooled latents of a batch, so it is at most min(B - 1, D).

Every metric except the wall clock's is a function of its own step (its loss, not an average since the process started),
so an interrupted run writes the same lines as an uninterrupted one. All of them are of the global batch, on any number
of ranks: the mean of the ranks' losses, the health of the pooled latents of all their samples.

The collapse alarm reads `target_std` alone. On layer-normed targets, whose scale is fixed, it is 0.5-0.6 in a healthy
run and 0.01 in a collapsed one; `COLLAPSE_STD` = 0.1 lies near the middle of the two on a logarithmic scale [OURS]. The
effective rank of a collapsed encoder is that of the noise it is left with, higher than a healthy one's: it is shown
and raises no alarm. A third alarm, a loss that is not finite, ends the run (`guard`).

Cost: singular values come from the smaller Gram matrix, in fp64. One thread of an AMD EPYC (Zen 4), November 2026:
0.3 ms at B = 64, D = 64; 3 ms at B = 64, N = 196, D = 768. The eigenvalue solver makes the host wait for a CUDA device
[C1, its documentation], so it runs where a log line is read anyway, not in every step.

Shapes: B images, D width, G = min(B, D).
"""

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from iwm_core.training.distributed import ALONE, World
from iwm_core.training.step import Outcome

COLLAPSE_STD = 0.1
STARVING_SHARE = 0.3
"""[OURS]"""
STARVING_READINGS = 3
"""More than one, since the first batches of a run or of an epoch may take longer."""

log = logging.getLogger(__name__)


def health(m_BD: Tensor) -> dict[str, Tensor]:
    """`std` and `effective_rank` of pooled latents, as 0-dim fp32 tensors on the same device.

    One image has std 0 and rank 1; latents that are not finite have NaN for both.
    """
    centred_BD = m_BD - m_BD.mean(0)
    return {
        "std": centred_BD.square().mean(0).sqrt().mean(),
        "effective_rank": _effective_rank(centred_BD.double()).float(),
    }


def _effective_rank(centred_BD: Tensor) -> Tensor:
    B, D = centred_BD.shape
    gram_GG = centred_BD @ centred_BD.T if B <= D else centred_BD.T @ centred_BD
    finite = gram_GG.isfinite().all()
    s_G = torch.linalg.eigvalsh(torch.where(finite, gram_GG, 0.0)).clamp_min(0).sqrt()
    q_G = s_G / s_G.sum().clamp_min(torch.finfo(s_G.dtype).tiny)
    return torch.where(finite, torch.exp(-torch.xlogy(q_G, q_G).sum()), torch.nan)


class Meter:
    """Reads the metrics of a step, and measures speed between two readings."""

    def __init__(
        self, *, world: World = ALONE, loader_workers: int = 0, images_per_s_at_peak: float | None = None
    ) -> None:
        """`images_per_s_at_peak` is the speed of all ranks at their devices' peak FLOP/s; None: unknown."""
        self._world = world
        self._alarms = Alarms(loader_workers=loader_workers)
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

        Every rank must call this.
        """
        metrics = {**_read(outcome, world=self._world), "lr": outcome.lr, "ema": outcome.ema, **self._speed()}
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
    targets, predictions = (health(world.gather(m_BD)) for m_BD in (outcome.target_BD, outcome.prediction_BD))
    values = {
        "loss": world.mean(outcome.loss),
        "grad_norm": outcome.grad_norm,
        "target_std": targets["std"],
        "prediction_std": predictions["std"],
        "effective_rank": targets["effective_rank"],
    }
    return dict(zip(values, torch.stack([value.float() for value in values.values()]).tolist(), strict=True))


class Alarms:
    """Checks every log line, and logs each alarm once, with what to try."""

    def __init__(self, *, loader_workers: int = 0) -> None:
        self._workers = loader_workers
        self._starved = 0
        self._said: set[str] = set()

    def heed(self, metrics: Mapping[str, float], *, step: int) -> dict[str, float]:
        """The alarms' metrics."""
        std, waited = metrics["target_std"], metrics["data_wait_share"]
        self._starved = self._starved + 1 if waited > STARVING_SHARE else 0
        collapsed, starving = std < COLLAPSE_STD, self._starved >= STARVING_READINGS
        if collapsed:
            self._say("collapse", collapse_sentence(std), step=step)
        if starving:
            self._say("starving", starving_sentence(waited, workers=self._workers), step=step)
        return {"collapse_alarm": float(collapsed), "starving_alarm": float(starving)}

    def _say(self, name: str, sentence: str, *, step: int) -> None:
        if name not in self._said:
            self._said.add(name)
            log.warning("step %d: %s", step, sentence)


def collapse_sentence(target_std: float) -> str:
    """The log message of the collapse alarm."""
    return (
        f"targets collapse: pooled target latents vary by {target_std:.3f} across images "
        f"(alarm below {COLLAPSE_STD:g}); try a lower optim.lr, an optim.ema nearer to 1 or a longer optim.warmup_ratio"
    )


def starving_sentence(share: float, *, workers: int) -> str:
    """The log message of the starving alarm."""
    return (
        f"training waits for data {share:.0%} of the time ({STARVING_READINGS} log lines "
        f"in a row above {STARVING_SHARE:.0%}); try resources.loader_workers={max(2, 2 * workers)} (it is {workers}), "
        "as many CPUs for the job (resources.cpus_per_gpu), or images that are stored smaller"
    )
