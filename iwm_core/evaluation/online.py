"""Online evaluation: MRR and k-NN on a few images while the networks train.

    online_mrr         `mrr` over `IMAGES` images of the test split, against banks of at most `BANK` versions
    online_knn_top1    `knn` of `TEST` test images among `TRAIN` of training

A function of the weights and the data set. The samples are small: these are curves to watch, not results, so their
names differ from those of the final metrics. A predictor blind to the action has an `online_mrr` of H_K / K.

Shapes: C channels, S pixels, K bank, N patches, D width, F features.
"""

import dataclasses

import numpy as np
import torch
from torch import Tensor

from iwm_core.config import TrialConfig
from iwm_core.data import datasets, views
from iwm_core.evaluation import knn, mrr
from iwm_core.evaluation.latents import spread
from iwm_core.evaluation.logistic import Split
from iwm_core.evaluation.subject import Subject
from iwm_core.models.encoder import Encoder
from iwm_core.models.targets import Target
from iwm_core.objectives.objective import Networks

IMAGES, BANK = 8, 64
TRAIN, TEST = 512, 256
CHUNK = 128
"""Number of images that pass through an encoder at once."""


class OnlineEvaluation:
    """Reads the images once and keeps them."""

    def __init__(self, config: TrialConfig, *, device: torch.device, data_root: str) -> None:
        """Read the images.

        Raises:
            DataError: they cannot be read.
        """
        size = min(BANK, config.evaluate.bank_size)
        self._config = dataclasses.replace(config, evaluate=dataclasses.replace(config.evaluate, bank_size=size))
        self._device = device
        train, test = (datasets.load(config.data, split=split, root=data_root) for split in ("train", "test"))
        self._bank = _images(test, config, at_most=IMAGES)
        self._train, self._test = _images(train, config, at_most=TRAIN), _images(test, config, at_most=TEST)

    def measure(self, networks: Networks, target: Target) -> dict[str, float]:
        """Return the metrics above; keeps the networks' modes. Waits for the device."""
        subject = Subject(config=self._config, networks=networks, target=target, device=self._device)
        with subject.undisturbed():
            return {"online_mrr": self._mrr(subject), "online_knn_top1": self._knn(subject.encoder)}

    def _mrr(self, subject: Subject) -> float:
        image_BCSS, index_B, _ = self._bank
        ranks = []
        for image_CSS, index in zip(image_BCSS, index_B, strict=True):
            image_1CSS = image_CSS[None].to(self._device)
            ranks.append(mrr.pooled_ranks(*mrr.queries_and_bank(subject, image_1CSS=image_1CSS, index=int(index))))
        return float(mrr.reciprocal_ranks(torch.cat(ranks)).mean())

    def _knn(self, encoder: Encoder) -> float:
        train, test = (self._features(encoder, images) for images in (self._train, self._test))
        evaluate = self._config.evaluate
        return knn.top1(train, test, neighbours=evaluate.neighbours, temperature=evaluate.temperature)

    def _features(self, encoder: Encoder, images: tuple[Tensor, np.ndarray, np.ndarray]) -> Split:
        image_BCSS, _, labels = images
        parts = [encoder(views.clean(part.to(self._device))).mean(1).float().cpu() for part in image_BCSS.split(CHUNK)]
        return Split(features=torch.cat(parts).numpy(), labels=labels)


def _images(
    dataset: datasets.ImageDataset, config: TrialConfig, *, at_most: int
) -> tuple[Tensor, np.ndarray, np.ndarray]:
    """Return centre crops as uint8 on the host, their indices and their labels."""
    index_B = spread(len(dataset), at_most=at_most)
    return dataset.centre(index_B, size=config.data.image_size), index_B, dataset.labels[index_B]
