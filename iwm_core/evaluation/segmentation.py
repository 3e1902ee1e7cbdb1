r"""Segmentation: a linear map on the latents of each patch, upsampled; four protocols that differ in what is trained.

    protocol                  encoder    predictor   the head's input
    segmentation              frozen     -           z = f_ema(x)
    segmentation_encoder      tuned      -           z = f_ema(x)
    segmentation_predictor    frozen     tuned       p_phi(z, a = 0, all positions)
    segmentation_end_to_end   tuned      tuned       p_phi(z, a = 0, all positions)

    IoU_k = |pixels of k called k| / |pixels of k or called k|,     mIoU = mean over the classes that are there

    <protocol>_miou            clean centre crops of the test split, every class the background among them
    <protocol>_majority_miou   always the class with the most pixels in training
    <protocol>_pixel_top1      share of pixels called right
    segmentation_random_miou   the same head, trained beside it, on the encoder as it started

Symbols and rates as in `finetune`. Source: ADE20K with a linear head, as in DINOv2's linear evaluation [RECALLED,
high], and the paper's three columns of fine-tuning [C2 S1]; IWM's own head and schedule are unknown, and the usual head
(UperNet) is not built here, so these figures are not those of its table [OURS]. Pixels without a class count nowhere.
Mixing and label smoothing have no part in it. The baseline of the three that tune more than the head is the trial with
`tune.predictor=random`, `tune.encoder=random`, or both.

Shapes: B images, C channels, S pixels, N patches, D width, K classes.
"""

import copy
from abc import abstractmethod
from collections.abc import Generator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from iwm_core.data import segments, views
from iwm_core.data.crops import draw_crops
from iwm_core.data.loader import Batch, batches
from iwm_core.data.segments import IGNORED
from iwm_core.evaluation import heads
from iwm_core.evaluation.finetune import latents_of, network_rates, start_of
from iwm_core.evaluation.latents import spread
from iwm_core.evaluation.subject import Subject
from iwm_core.evaluation.tuning import Learner, Rate, as_tuned, rates_of
from iwm_core.tensors import onto

CHUNK = 64
"""Images that are scored at once."""

COUNTED_MAX = 2000
"""Training images in which the most frequent class is counted."""

OURS, RANDOM = "segmentation", "segmentation_random"


def cross_entropy(logits_BKSS: Tensor, class_BSS: Tensor) -> Tensor:
    """The mean over pixels that have a class. CUDA has no deterministic kernel for pictures, so it gets a list."""
    if logits_BKSS.is_cuda:
        logits_nK = logits_BKSS.flatten(2).mT.flatten(0, 1)
        return functional.cross_entropy(logits_nK, class_BSS.flatten(), ignore_index=IGNORED)
    return functional.cross_entropy(logits_BKSS, class_BSS, ignore_index=IGNORED)


class OnPixels(Learner):
    """Abstract: a learner whose `logits` are scored on the classes of pixels."""

    def __init__(self, subject: Subject, *, protocol: str) -> None:
        """Loads the images.

        Raises:
            ConfigError: images without segments.
            DataError: folders that are not there.
        """
        super().__init__()
        self.config, self.protocol, self.device = subject.config, protocol, subject.device
        self.images, self.test = (
            segments.load(subject.config.data, classes=subject.config.tune.classes, split=split, root=subject.data_root)
            for split in ("train", "test")
        )
        self.digest = self.images.digest

    def batches(self, *, start: int, workers: int) -> Generator[Batch, None, None]:
        return batches(self.images, as_tuned(self.config), start=start, workers=workers)

    @abstractmethod
    def logits(self, image_BCSS: Tensor) -> dict[str, Tensor]:
        """[B, K, S, S] of uint8 images by the name of the metric, without `_miou`; the protocol's own one first."""

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        crops = draw_crops(self.config.data, seed=self.config.seed, step=batch.step, batch=len(batch.index_B))
        class_BSS = onto(self.images.segments(batch.index_B, crops, self.config.data.image_size).long(), self.device)
        return {
            name: cross_entropy(logits_BKSS.float(), class_BSS)
            for name, logits_BKSS in zip(("loss", "random_loss"), self.logits(batch.image_BCHW).values(), strict=False)
        }

    def score(self) -> dict[str, float]:
        K, size = self.images.num_classes, self.config.data.image_size
        confusion: dict[str, Tensor] = {}
        majority, most = f"{self.protocol}_majority", self._most_frequent()
        indices = spread(len(self.test), at_most=self.config.evaluate.probe_test_images)
        for at in range(0, len(indices), CHUNK):
            some = indices[at : at + CHUNK]
            class_BSS = self.test.segments(some, None, size).long()
            said = {name: logits.argmax(1).cpu() for name, logits in self.logits(self.test.centre(some, size)).items()}
            for name, said_BSS in (said | {majority: torch.full_like(class_BSS, most)}).items():
                confusion[name] = confusion.get(name, 0) + confusions(class_BSS, said_BSS, classes=K)
        right = confusion[self.protocol].diagonal().sum() / confusion[self.protocol].sum()
        return {f"{name}_miou": miou(table) for name, table in confusion.items()} | {
            f"{self.protocol}_pixel_top1": float(right)
        }

    def _most_frequent(self) -> int:
        """The class with the most pixels in the centres of the training images."""
        indices = spread(len(self.images), at_most=COUNTED_MAX)
        parts = [indices[at : at + CHUNK] for at in range(0, len(indices), CHUNK)]
        size, K = self.config.data.image_size, self.images.num_classes
        counts = sum(
            np.bincount(self.images.segments(part, None, size).numpy().ravel(), minlength=256)[:K] for part in parts
        )
        return int(np.argmax(counts))


class Segmentation(OnPixels):
    """A head on the frozen encoder, and a second one on the encoder as it started."""

    frozen = ("encoders",)

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject, protocol=OURS)
        self.encoders = nn.ModuleDict({OURS: subject.encoder, RANDOM: subject.untrained().encoder})
        self.encoders.requires_grad_(False)
        head = heads.pixels(subject.config, width=subject.encoder.width, classes=self.images.num_classes)
        self.heads = nn.ModuleDict({name: copy.deepcopy(head) for name in self.encoders}).to(subject.device)

    def logits(self, image_BCSS: Tensor) -> dict[str, Tensor]:
        x_BCSS = views.clean(onto(image_BCSS, self.device))
        with torch.no_grad():
            latents = {name: encoder(x_BCSS) for name, encoder in self.encoders.items()}
        return {name: self.heads[name](z_BND, size=x_BCSS.shape[-1]) for name, z_BND in latents.items()}

    def rates(self) -> list[Rate]:
        return rates_of(self.heads, share=1.0)


class TunedSegmentation(OnPixels):
    """Encoder, predictor or both, with the linear head behind them."""

    def __init__(self, subject: Subject, *, protocol: str, encoder: bool, predictor: bool) -> None:
        """`encoder` and `predictor` select what is tuned; without `predictor` the head reads the encoder.

        Raises:
            ConfigError, DataError: as `OnPixels`; also `predictor`, and the networks have none.
        """
        super().__init__(subject, protocol=protocol)
        self.tunes_encoder, self.predicts = encoder, predictor
        self.networks = start_of(subject, encoder=encoder, predictor=predictor)
        self.frozen = () if encoder else ("networks.encoder",)
        width, classes = self.networks.encoder.width, self.images.num_classes
        self.head = heads.pixels(subject.config, width=width, classes=classes).to(subject.device)

    def logits(self, image_BCSS: Tensor) -> dict[str, Tensor]:
        x_BCSS = views.clean(onto(image_BCSS, self.device))
        return {self.protocol: self.head(latents_of(self, x_BCSS), size=x_BCSS.shape[-1])}

    def rates(self) -> list[Rate]:
        return rates_of(self.head, share=1.0) + network_rates(self)


def confusions(class_BSS: Tensor, said_BSS: Tensor, *, classes: int) -> Tensor:
    """[K, K]: how many pixels of each class (rows) were called what (columns)."""
    known = class_BSS != IGNORED
    pairs = class_BSS[known] * classes + said_BSS[known]
    return torch.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def miou(confusion_KK: Tensor) -> float:
    """Mean over the classes that have pixels."""
    both_K = confusion_KK.diagonal()
    either_K = confusion_KK.sum(0) + confusion_KK.sum(1) - both_K
    there_K = confusion_KK.sum(1) > 0
    return float((both_K[there_K] / either_K[there_K]).double().mean())
