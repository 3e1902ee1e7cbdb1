r"""Linear probes: accuracy of a linear classifier on frozen features, and on untrained baselines.

    linear_probe_top1          mean of the target encoder's latents over positions
    linear_probe_tokens_top1   the latents of all positions, side by side
    random_probe_top1          the same two of the encoder before training
    random_probe_tokens_top1
    pixel_probe_top1           the image itself
    majority_top1              always the class most frequent in training
    probes_converged           1 if every fit reached its tolerance (`logistic`), else 0

A probe means little alone: at toy size the tokens of a random encoder and the raw pixels come close to the trained
encoder. Compare each row with its random one.

Source: frozen features of the target encoder, average-pooled [C1 I-JEPA]. Deviations [OURS]: L-BFGS to the optimum of a
convex problem in place of I-JEPA's LARS and grid, so that the score is a function of the trial; clean centre crops and
no augmentation; at most `evaluate.probe_train_images` images spread over the split. Latents are the encoder's output
after its own final norm, without the target's parameter-free LayerNorm, as in downstream use. Where positions x
width exceeds `MAX_FEATURES`, tokens and pixels are first averaged over the cells of the finest grid that fits, which
keeps a ViT-B's probe at 3,072 features; the toy networks (1,024) and 32-pixel images (3,072) are left whole.

Encoders run in fp32 without autocast. Cost: the digits (5,000 + 1,436 images) with the toy networks take 4.3 s of one
thread of an AMD EPYC (Zen 4), torch 2.15, scikit-learn 1.9, November 2026, half of it the fits.

Shapes: B images of a chunk, n images, C channels, S pixels, G side of a grid, N = G^2 patches, D width, F features.
"""

import math

import numpy as np
from torch import Tensor
from torch.nn import functional

from iwm_core.data import views
from iwm_core.evaluation import latents, logistic
from iwm_core.evaluation.subject import Subject
from iwm_core.models.encoder import Encoder

MAX_FEATURES = 4096
"""Maximum number of features of an image for one probe."""

PROBES = {
    "linear_probe": "target pooled",
    "linear_probe_tokens": "target tokens",
    "random_probe": "random pooled",
    "random_probe_tokens": "random tokens",
    "pixel_probe": "pixels",
}
"""Metric (without `_top1`) -> its features."""


def measure(subject: Subject) -> dict[str, float]:
    """The metrics above; the random encoder is built anew from the trial's configuration."""
    encoders = {"target": subject.encoder, "random": subject.untrained().encoder}

    def of_both(image_BCSS: Tensor, _: np.ndarray) -> dict[str, Tensor]:
        return features(image_BCSS, encoders=encoders)

    train, test = (latents.read(subject, split=split, features=of_both) for split in ("train", "test"))
    l2, threads = subject.config.evaluate.probe_l2, subject.config.train.threads
    fits = {name: logistic.probe(train[on], test[on], l2=l2, threads=threads) for name, on in PROBES.items()}
    return {
        **{f"{name}_top1": fit.top1 for name, fit in fits.items()},
        "majority_top1": logistic.majority(train["pixels"].labels, test["pixels"].labels),
        "probes_converged": float(all(fit.converged for fit in fits.values())),
    }


def features(image_BCSS: Tensor, *, encoders: dict[str, Encoder]) -> dict[str, Tensor]:
    """`pixels` of uint8 images, and `<encoder> pooled` and `<encoder> tokens` of each encoder; [B, F] each."""
    x_BCSS = views.clean(image_BCSS)
    found = {"pixels": side_by_side(x_BCSS)}
    for name, encoder in encoders.items():
        z_BND = encoder(x_BCSS)
        G = math.isqrt(z_BND.shape[1])
        found[f"{name} pooled"] = z_BND.mean(1)
        found[f"{name} tokens"] = side_by_side(z_BND.mT.unflatten(2, (G, G)))
    return found


def side_by_side(x_BCGG: Tensor) -> Tensor:
    """Return all values of each image, [B, F]; averaged over a coarser grid above `MAX_FEATURES`."""
    finest = max(1, math.isqrt(MAX_FEATURES // x_BCGG.shape[1]))
    if finest < x_BCGG.shape[2]:
        x_BCGG = functional.adaptive_avg_pool2d(x_BCGG, finest)
    return x_BCGG.flatten(1)
