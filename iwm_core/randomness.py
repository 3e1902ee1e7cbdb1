r"""All randomness of a run, as a pure function.

    u = uniform(seed, stream, step, shape)        row b of u belongs to sample b of the global batch of that step

Symbols: `seed` of the trial, `stream` names what is drawn, so that two purposes never share numbers, `step` counts
optimiser steps (epochs for the data order). Built on numpy's Philox, a counter-based generator, keyed through
SeedSequence; drawn on the host, so that every device, every number of loader workers and every number of ranks sees
the same numbers. There is no state to save: a run resumed at step s draws what it would have drawn.
"""

import numpy as np

STREAMS = {
    "weights": 0,
    "order": 1,
    "crop": 2,
    "source": 3,
    "target": 4,
    "masks": 5,
    "data": 6,
    "bank": 7,
    "probe": 8,
    "positions": 9,
    "teacher": 10,
    "tune": 11,  # weights of heads and task tokens
    "mix": 12,  # mixup and CutMix
    "task": 13,  # which task a step of `multitask` is about
}
"""Append only: the number is part of every run's identity."""


def generator(seed: int, stream: str, step: int = 0) -> np.random.Generator:
    """Return a numpy generator for (seed, stream, step)."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, STREAMS[stream], step])))


def uniform(seed: int, stream: str, step: int, shape: tuple[int, ...]) -> np.ndarray:
    """Return uniform float32 numbers in [0, 1)."""
    return generator(seed, stream, step).random(shape, dtype=np.float32)


def torch_seed(seed: int, stream: str, step: int = 0) -> int:
    """Return a 63-bit seed for a torch.Generator, for libraries that draw through torch (weight initialisation)."""
    return int(generator(seed, stream, step).integers(2**63 - 1))
