r"""Multinomial logistic regression on fixed features: the linear probe's last layer.

    min_{W,b}  1/n sum_i CE(W f_i + b, c_i) + l2/2 ||W||^2,    f = (v - mean) / std

Symbols: v the features of an image, c its class, mean and std over the n training images, feature by feature; the bias
b is not penalised. In scikit-learn's terms C = 1 / (n l2), solver L-BFGS, features in fp32. The problem is convex, so
the answer does not depend on a start or on a learning rate; it is deterministic for a given number of BLAS threads,
which are limited to `threads`. A feature that does not vary is centred to zero and has no say.

Shapes: n training images, m test images, F features.
"""

import warnings
from dataclasses import dataclass

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

MAX_ITERATIONS = 2000
TOLERANCE = 3e-4
"""L-BFGS stops when no component of the gradient is larger. On the digits, tokens score the same at 1e-4; at 1e-3, one
point less."""

STD_FLOOR = 1e-6
"""Share of the most varying feature's deviation below which a feature counts as constant."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """Features [n, F] and classes [n] of some images."""

    features: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Fit:
    """Share of test images classified right, and whether the solver reached its tolerance."""

    top1: float
    converged: bool


def probe(train: Split, test: Split, *, l2: float, threads: int, max_iterations: int = MAX_ITERATIONS) -> Fit:
    """Trains on `train`, scores on `test`; a function of its arguments. With one class there is nothing to train."""
    if len(np.unique(train.labels)) == 1:
        return Fit(top1=majority(train.labels, test.labels), converged=True)
    said_m, converged = _fitted(train, test, l2=l2, threads=threads, max_iterations=max_iterations)
    return Fit(top1=float(np.mean(said_m == test.labels)), converged=converged)


def predictions(train: Split, test: Split, *, l2: float, threads: int) -> np.ndarray:
    """The class that `probe` gives each test image, [m]."""
    return _fitted(train, test, l2=l2, threads=threads, max_iterations=MAX_ITERATIONS)[0]


def _fitted(train: Split, test: Split, *, l2: float, threads: int, max_iterations: int) -> tuple[np.ndarray, bool]:
    """The classes given to the test images, and whether the solver reached its tolerance."""
    with threadpool_limits(threads), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        train_nF, test_mF = standardised(train.features, test.features)
        C = 1 / (l2 * len(train_nF))
        model = LogisticRegression(C=C, max_iter=max_iterations, tol=TOLERANCE).fit(train_nF, train.labels)
        said_m = np.asarray(model.predict(test_mF))
    return said_m, not any(issubclass(each.category, ConvergenceWarning) for each in caught)


def standardised(train_nF: np.ndarray, test_mF: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both in fp32 with the training images' mean 0 and deviation 1; constant features become 0."""
    mean_F, std_F = train_nF.mean(0, dtype=np.float64), train_nF.std(0, dtype=np.float64)
    varies_F = std_F > STD_FLOOR * std_F.max()
    scale_F = np.where(varies_F, 1 / np.where(varies_F, std_F, 1), 0)
    train_nF, test_mF = (train_nF - mean_F) * scale_F, (test_mF - mean_F) * scale_F
    return train_nF.astype(np.float32), test_mF.astype(np.float32)


def majority(train_labels: np.ndarray, test_labels: np.ndarray) -> float:
    """Share of test images of the class that is most frequent in training, the first of equals."""
    return float(np.mean(test_labels == np.bincount(train_labels).argmax()))
