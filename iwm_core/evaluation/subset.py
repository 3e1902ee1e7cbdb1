"""Which images of a split are evaluated, when not all of them are."""

import numpy as np


def spread(available: int, *, at_most: int) -> np.ndarray:
    """`at_most` indices (or all, if there are fewer) spread evenly over `range(available)`, int64, ascending.

    Even spacing gives every class its share in a folder that is sorted by class, and needs no random draw: the choice
    is the same for every trial.
    """
    count = min(available, at_most)
    return np.arange(count) * available // max(count, 1)
