r"""Multinomial logistic regression on fixed features: the linear probe's last layer.

    min_{W,b}  1/n sum_i CE(W f_i + b, c_i) + l2/2 ||W||^2,    f = (v - mean) / std

Symbols: v the features of an image, c its class, mean and std over the n training images, feature by feature; the bias
b is not penalised. In scikit-learn's terms C = 1 / (n l2), solver L-BFGS, features in fp32. The problem is convex, so
the answer does not depend on a start or on a learning rate; it is deterministic for a given number of BLAS threads,
which are limited to `threads`. A constant feature becomes zero and has no effect.

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


@dataclass(frozen=True, kw_only=True, eq=False)
class Fit:
    """Predicted classes of the test images [m], the share that is right, and whether the solver converged."""

    predicted: np.ndarray
    top1: float
    converged: bool


def probe(train: Split, test: Split, *, l2: float, threads: int, max_iterations: int = MAX_ITERATIONS) -> Fit:
    """Fit on `train` and score on `test`. If `train` has one class, predict it."""
    if len(np.unique(train.labels)) == 1:
        predicted_m = np.full_like(test.labels, train.labels[0])
        return Fit(predicted=predicted_m, top1=float(np.mean(predicted_m == test.labels)), converged=True)
    with threadpool_limits(threads), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        train_nF, test_mF = standardised(train.features, test.features)
        C = 1 / (l2 * len(train_nF))
        model = LogisticRegression(C=C, max_iter=max_iterations, tol=TOLERANCE).fit(train_nF, train.labels)
        predicted_m = np.asarray(model.predict(test_mF))
    converged = not any(issubclass(each.category, ConvergenceWarning) for each in caught)
    return Fit(predicted=predicted_m, top1=float(np.mean(predicted_m == test.labels)), converged=converged)


def standardised(train_nF: np.ndarray, test_mF: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Standardise both by the training images' mean and deviation, in fp32; constant features become 0."""
    mean_F, std_F = train_nF.mean(0, dtype=np.float64), train_nF.std(0, dtype=np.float64)
    varies_F = std_F > STD_FLOOR * std_F.max()
    scale_F = np.where(varies_F, 1 / np.where(varies_F, std_F, 1), 0)
    train_nF, test_mF = (train_nF - mean_F) * scale_F, (test_mF - mean_F) * scale_F
    return train_nF.astype(np.float32), test_mF.astype(np.float32)


def majority(train_labels: np.ndarray, test_labels: np.ndarray) -> float:
    """Return the accuracy of always predicting the most frequent class in training (of a tie, the first)."""
    return float(np.mean(test_labels == np.bincount(train_labels).argmax()))
