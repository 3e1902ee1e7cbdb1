r"""Segmentation with more than the head trained: the three ways of fine-tuning, on pixels.

    protocol                  encoder    predictor   the head's input
    segmentation_encoder      tuned      -           z = f_ema(x)
    segmentation_predictor    frozen     tuned       p_phi(z, a = 0, all positions)
    segmentation_end_to_end   tuned      tuned       p_phi(z, a = 0, all positions)

    <protocol>_miou, <protocol>_majority_miou, <protocol>_pixel_top1       as in `segmentation`

Symbols and rates as in `finetune`; the head is the linear one of `segmentation`. Source: the paper's three columns of
ADE20K [C2 S1]; its head and schedule are unknown, and UperNet is not built here [OURS]. The baseline is the trial with
`tune.predictor=random`, `tune.encoder=random`, or both.

Shapes: B images, C channels, S pixels, N patches, D width.
"""

import torch
from torch import Tensor

from iwm_core.data import views
from iwm_core.evaluation import heads
from iwm_core.evaluation.finetune import encoder_rates, predictor_of, predictor_share, start_of, thaw
from iwm_core.evaluation.segmentation import OnPixels
from iwm_core.evaluation.subject import Subject, everywhere, null_action
from iwm_core.evaluation.tuning import Rate, rates_of
from iwm_core.tensors import onto


class TunedSegmentation(OnPixels):
    """Encoder, predictor or both, with the linear head behind them."""

    def __init__(self, subject: Subject, *, protocol: str, encoder: bool, predictor: bool) -> None:
        """`encoder` and `predictor` say what is tuned; without the latter there is none.

        Raises:
            ConfigError, DataError: as `OnPixels`; also a predictor is wanted and there is none.
        """
        super().__init__(subject, protocol=protocol)
        self.tunes_encoder, self.predicts = encoder, predictor
        self.networks = start_of(subject, predictor=predictor)
        self.networks.requires_grad_(False)
        if encoder:
            thaw(self.networks.encoder)
        if predictor:
            predictor_of(self.networks).requires_grad_(True)
        self.frozen = () if encoder else ("networks.encoder",)
        width, classes = self.networks.encoder.width, self.images.num_classes
        self.head = heads.pixels(subject.config, width=width, classes=classes).to(subject.device)

    def logits(self, image_BCSS: Tensor) -> dict[str, Tensor]:
        x_BCSS = views.clean(onto(image_BCSS, self.device))
        with torch.set_grad_enabled(self.tunes_encoder and torch.is_grad_enabled()):
            z_BND = self.networks.encoder(x_BCSS)
        if self.predicts:
            z_BND = self.networks.predict(z_BND, null_action(z_BND), everywhere(z_BND))
        return {self.protocol: self.head(z_BND, size=x_BCSS.shape[-1])}

    def rates(self) -> list[Rate]:
        found, tune = rates_of(self.head, share=1.0), self.config.tune
        if self.predicts:
            found += rates_of(predictor_of(self.networks), share=predictor_share(tune))
        return found + (encoder_rates(self.networks.encoder, tune) if self.tunes_encoder else [])
