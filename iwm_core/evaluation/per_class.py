r"""Accuracy by class under increasing jitter of the test images: where a representation is invariant.

    top1(c, s) = share of test images of class c that the probe of clean images gets right at strength s

    per_class_s050_top1              all classes, at strength 0.50; s000 is the clean image
    per_class_03_s050_top1           class 3 alone, where there are at most `CLASSES_MAX`
    per_class_random_s050_top1       the same probe on the encoder as it started
    per_class_majority_top1          always the class most frequent in training
    per_class_spread_s050            deviation of the accuracy over classes

Symbols: s multiplies the maxima of `photometric`, as in training; every image is jittered with its own draw, the same
at every strength but for its size, a function of (`evaluate.bank_seed`, image). Nothing destructive acts. Source:
effects of augmentation by class, Balestriero et al., 2022 [RECALLED, medium]; on frozen features [OURS].

Shapes: B images of a chunk, C channels, S pixels, D width.
"""

import dataclasses

import numpy as np
from torch import Tensor

from iwm_core.data import photometric, views
from iwm_core.evaluation import latents, logistic
from iwm_core.evaluation.logistic import Split
from iwm_core.evaluation.subject import Subject
from iwm_core.models.encoder import Encoder
from iwm_core.randomness import generator

STRENGTHS = (0.0, 0.5, 1.0, 1.5, 2.0)
CLASSES_MAX = 100
"""Above this number of classes, only their mean and deviation are reported."""


def measure(subject: Subject) -> dict[str, float]:
    """The metrics above."""
    train_labels, trained = _accuracies(subject, subject.encoder)
    _, random = _accuracies(subject, subject.untrained().encoder)
    metrics: dict[str, float] = {}
    for strength, (right, labels) in trained.items():
        classes = np.unique(labels)
        by_class = {int(c): float(right[labels == c].mean()) for c in classes}
        name = f"s{round(100 * strength):03d}"
        metrics[f"per_class_{name}_top1"] = float(right.mean())
        metrics[f"per_class_random_{name}_top1"] = float(random[strength][0].mean())
        metrics[f"per_class_spread_{name}"] = float(np.std(list(by_class.values())))
        if len(classes) <= CLASSES_MAX:
            metrics |= {f"per_class_{c:02d}_{name}_top1": top1 for c, top1 in by_class.items()}
    return metrics | {"per_class_majority_top1": logistic.majority(train_labels, trained[0.0][1])}


def _accuracies(subject: Subject, encoder: Encoder) -> tuple[np.ndarray, dict[float, tuple[np.ndarray, np.ndarray]]]:
    """Return the training labels, and for each strength (prediction is right, class) of the test images."""

    def clean(image_BCSS: Tensor, _: np.ndarray) -> dict[str, Tensor]:
        return {"clean": encoder(views.clean(image_BCSS)).mean(1)}

    def jittered(image_BCSS: Tensor, index_B: np.ndarray) -> dict[str, Tensor]:
        return {str(s): encoder(_jittered(image_BCSS, index_B, subject, strength=s)).mean(1) for s in STRENGTHS}

    train = latents.read(subject, split="train", features=clean)["clean"]
    test = latents.read(subject, split="test", features=jittered)
    l2, threads = subject.config.evaluate.probe_l2, subject.config.train.threads
    every = Split(
        features=np.concatenate([test[str(s)].features for s in STRENGTHS]),
        labels=np.concatenate([test[str(s)].labels for s in STRENGTHS]),
    )
    predicted = logistic.probe(train, every, l2=l2, threads=threads).predicted
    parts = zip(STRENGTHS, np.split(predicted, len(STRENGTHS)), strict=True)
    return train.labels, {s: (part == test[str(s)].labels, test[str(s)].labels) for s, part in parts}


def _jittered(image_BCSS: Tensor, index_B: np.ndarray, subject: Subject, *, strength: float) -> Tensor:
    """The images at this strength, normalised."""
    config = dataclasses.replace(subject.config.photometric, strength=strength, jitter_p=1.0)
    seed = subject.config.evaluate.bank_seed
    draws = [generator(seed, "bank", int(index)).random(photometric.UNIFORMS, dtype=np.float32) for index in index_B]
    params_BP = photometric.draw(config, np.stack(draws), view="target")
    return views.normalise(photometric.apply(views.to_unit(image_BCSS), params_BP, config=config))
