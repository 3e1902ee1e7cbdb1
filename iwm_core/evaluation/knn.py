r"""k-nearest-neighbour classification on frozen latents; nothing is trained.

    s_j = <v, v_j> / (|v| |v_j|)        score(c) = sum over the k largest s_j with c_j = c of exp(s_j / tau)

    knn_top1            v the mean of the latents over positions
    knn_random_top1     the same before training
    knn_majority_top1   always the class most frequent in training

Symbols: v an image of the test split, v_j those of the training split, c_j their classes, k `evaluate.neighbours`, tau
`evaluate.temperature`. Source: weighted votes with k = 20 and tau = 0.07 as in DINO [C1 DINO]. Deviations: pooled
latents in place of a class token, and at most `evaluate.probe_train_images` training images [OURS].

Shapes: n training images, m test images, F features, K classes.
"""

import numpy as np
import torch
from torch.nn import functional

from iwm_core.data import views
from iwm_core.evaluation import latents, logistic
from iwm_core.evaluation.logistic import Split
from iwm_core.evaluation.subject import Subject

CHUNK = 1024
"""Number of test images that are compared with all training images at once."""


def measure(subject: Subject) -> dict[str, float]:
    """The metrics above."""
    encoders = {"knn": subject.encoder, "knn_random": subject.untrained().encoder}

    def pooled(image_BCSS: torch.Tensor, _: np.ndarray) -> dict[str, torch.Tensor]:
        x_BCSS = views.clean(image_BCSS)
        return {name: encoder(x_BCSS).mean(1) for name, encoder in encoders.items()}

    train, test = (latents.read(subject, split=split, features=pooled) for split in ("train", "test"))
    evaluate = subject.config.evaluate
    found = {
        f"{name}_top1": top1(train[name], test[name], neighbours=evaluate.neighbours, temperature=evaluate.temperature)
        for name in encoders
    }
    return found | {"knn_majority_top1": logistic.majority(train["knn"].labels, test["knn"].labels)}


def top1(train: Split, test: Split, *, neighbours: int, temperature: float) -> float:
    """Return the accuracy of the weighted vote; of tied classes the first wins."""
    f_nF, f_mF = (functional.normalize(torch.from_numpy(split.features).float(), dim=1) for split in (train, test))
    class_n, class_m = torch.from_numpy(train.labels), torch.from_numpy(test.labels)
    classes = int(max(class_n.max(), class_m.max())) + 1
    right = 0
    for part_mF, part_m in zip(f_mF.split(CHUNK), class_m.split(CHUNK), strict=True):
        near = (part_mF @ f_nF.T).topk(min(neighbours, len(f_nF)), dim=1)
        vote_mK = torch.zeros(len(part_mF), classes)
        vote_mK.scatter_add_(1, class_n[near.indices], ((near.values - 1) / temperature).exp())
        right += int((vote_mK.argmax(1) == part_m).sum())
    return right / len(class_m)
