r"""Classification from frozen and from tuned networks: four protocols that differ in what is trained.

    protocol             encoder    predictor   the head's input
    attentive            frozen     -           z = f_ema(x)
    encoder_finetune     tuned      -           z = f_ema(x)
    predictor_finetune   frozen     tuned       p_phi(z, a = 0, all positions)
    end_to_end           tuned      tuned       p_phi(z, a = 0, all positions)

    <protocol>_top1             clean centre crops of the test split
    <protocol>_majority_top1    always the class most frequent in training
    attentive_random_top1       the same head, trained beside it, on the encoder as it started

Symbols: f_ema the moving average of the encoder, p_phi the predictor, a = 0 the null action. Source: IWM's predictor
fine-tuning: frozen teacher, null action, the full image predicted, attentive head; a pretrained predictor has a tenth
of the rate of a random one [C2 S1]. The head of encoder fine-tuning is the same one [OURS].

The baseline of predictor_finetune is the trial with `tune.predictor=random`: the same predictor from scratch, at the
full rate. The baseline of encoder_finetune and end_to_end is the trial with `tune.encoder=random` (and
`tune.predictor=random`). Nothing else differs.

With `tune.mixup` or `tune.cutmix` training uses mixed images:

    mixup    x = lambda x_b + (1 - lambda) x_b',   y = lambda y_b + (1 - lambda) y_b',   lambda ~ Beta(alpha, alpha)
    cutmix   the same with a rectangle of x_b' in x_b, its area the share 1 - lambda of the image

Symbols: b' = B - 1 - b, the batch in reverse; one lambda per batch; if both are set, each batch uses one of them with
equal probability. Source: timm's batch mode, which MAE's recipe uses [C1, code]. Draws are a function of (seed, step).

Shapes: B images, C channels, S pixels, N patches, D width, K classes.
"""

import copy
from abc import abstractmethod
from collections.abc import Generator
from typing import Any, Protocol

import numpy as np
import torch
from timm.optim import param_groups_layer_decay  # pyright: ignore[reportPrivateImportUsage]
from torch import Tensor, nn
from torch.nn import functional

from iwm_core.config import TrialConfig, TuneConfig
from iwm_core.data import datasets, views
from iwm_core.data.datasets import ImageDataset
from iwm_core.data.loader import Batch, batches
from iwm_core.evaluation import heads, logistic
from iwm_core.evaluation.latents import check_classes, spread
from iwm_core.evaluation.subject import OnlyEncoder, Subject, everywhere, null_action
from iwm_core.evaluation.tuning import Learner, Rate, as_tuned, rates_of
from iwm_core.models.encoder import Encoder, ViTEncoder
from iwm_core.models.targets import width_of_targets
from iwm_core.objectives.objective import Networks
from iwm_core.randomness import generator
from iwm_core.tensors import onto

CHUNK = 256
"""Number of images that are scored at once."""


class _OnClasses(Learner):
    """Abstract: a learner whose `logits` are scored on the classes of the trial's own data set."""

    def __init__(self, subject: Subject, *, protocol: str) -> None:
        super().__init__()
        self.config, self.protocol, self.device = subject.config, protocol, subject.device
        self.images, self.test = (
            datasets.load(subject.config.data, split=split, root=subject.data_root) for split in ("train", "test")
        )
        check_classes(self.images, protocol=protocol)
        self.digest = self.images.digest

    def batches(self, *, start: int, workers: int) -> Generator[Batch, None, None]:
        return batches(self.images, as_tuned(self.config), start=start, workers=workers)

    @abstractmethod
    def logits(self, x_BCSS: Tensor) -> dict[str, Tensor]:
        """Return logits [B, K] by the metric's name without `_top1`, the protocol's own first."""

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        x_BCSS = views.clean(onto(batch.image_BCHW, self.device))
        label_B = onto(torch.from_numpy(self.images.labels[batch.index_B]), self.device)
        x_BCSS, share_BK = mixed(x_BCSS, label_B, classes=self.images.num_classes, config=self.config, step=batch.step)
        return {
            _loss(name, protocol=self.protocol): cross_entropy(logits_BK, share_BK, config=self.config)
            for name, logits_BK in self.logits(x_BCSS).items()
        }

    def score(self) -> dict[str, float]:
        indices = spread(len(self.test), at_most=self.config.evaluate.probe_test_images)
        labels = self.test.labels[indices]
        said = classes_of(self, self.test, indices, device=self.device, size=self.config.data.image_size)
        return {
            **{f"{name}_top1": float(np.mean(guess_n.numpy() == labels)) for name, guess_n in said.items()},
            f"{self.protocol}_majority_top1": logistic.majority(self.images.labels, labels),
        }


class AttentiveProbe(_OnClasses):
    """An attentive head on the frozen encoder, and a second one on the encoder before training."""

    frozen = ("encoders",)

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject, protocol="attentive")
        self.encoders = nn.ModuleDict({"attentive": subject.encoder, "attentive_random": subject.untrained().encoder})
        self.encoders.requires_grad_(False)
        head = heads.attentive(subject.config, width=subject.encoder.width, classes=self.images.num_classes)
        self.heads = nn.ModuleDict({name: copy.deepcopy(head) for name in self.encoders}).to(subject.device)

    def logits(self, x_BCSS: Tensor) -> dict[str, Tensor]:
        with torch.no_grad():
            latents = {name: encoder(x_BCSS) for name, encoder in self.encoders.items()}
        return {name: self.heads[name](z_BND) for name, z_BND in latents.items()}

    def rates(self) -> list[Rate]:
        return rates_of(self.heads, share=1.0)


class FineTuned(_OnClasses):
    """Tunes encoder, predictor or both, with an attentive head on top."""

    def __init__(self, subject: Subject, *, protocol: str, encoder: bool, predictor: bool) -> None:
        """`encoder` and `predictor` select what is tuned; without `predictor` the head reads the encoder.

        Raises:
            ConfigError: `predictor`, and the networks have none.
            DataError: the data set has one class.
        """
        super().__init__(subject, protocol=protocol)
        self.tunes_encoder, self.predicts = encoder, predictor
        self.networks = start_of(subject, encoder=encoder, predictor=predictor)
        self.frozen = () if encoder else ("networks.encoder",)
        width = width_of_targets(subject.config) if predictor else self.networks.encoder.width
        classes = self.images.num_classes
        self.head = heads.attentive(subject.config, width=width, classes=classes).to(subject.device)

    def logits(self, x_BCSS: Tensor) -> dict[str, Tensor]:
        return {self.protocol: self.head(latents_of(self, x_BCSS))}

    def rates(self) -> list[Rate]:
        return rates_of(self.head, share=1.0) + network_rates(self)


class TunesNetworks(Protocol):
    """A learner that tunes an encoder, a predictor or both below its head."""

    config: TrialConfig
    networks: Networks
    tunes_encoder: bool
    predicts: bool


def latents_of(learner: TunesNetworks, x_BCSS: Tensor) -> Tensor:
    """Return the head's input z_BND: the predictor's output, or the encoder's latents without a predictor."""
    with torch.set_grad_enabled(learner.tunes_encoder and torch.is_grad_enabled()):
        z_BND = learner.networks.encoder(x_BCSS)
    return learner.networks.predict(z_BND, null_action(z_BND), everywhere(z_BND)) if learner.predicts else z_BND


def network_rates(learner: TunesNetworks) -> list[Rate]:
    """Return the rates of the tuned parts below the head."""
    tune, networks = learner.config.tune, learner.networks
    found = rates_of(predictor_of(networks), share=predictor_share(tune)) if learner.predicts else []
    return found + (encoder_rates(networks.encoder, tune) if learner.tunes_encoder else [])


def start_of(subject: Subject, *, encoder: bool, predictor: bool) -> Networks:
    """Return a copy of the networks under test to tune, each part pretrained or random.

    `encoder` and `predictor` select the parts with gradients; without `predictor` the copy has none.

    Raises:
        ConfigError: `predictor`, and the networks have none.
    """
    networks = _copied(subject, predictor=predictor)
    networks.requires_grad_(False)
    if encoder:
        thaw(networks.encoder)
    if predictor:
        predictor_of(networks).requires_grad_(True)
    return networks


def _copied(subject: Subject, *, predictor: bool) -> Networks:
    tune = subject.config.tune
    fresh: Any = subject.untrained() if "random" in (tune.encoder, tune.predictor) else None
    encoder = fresh.encoder if tune.encoder == "random" else copy.deepcopy(subject.encoder)
    if not predictor:
        return OnlyEncoder(encoder)
    assert subject.predictor is not None
    networks: Any = copy.deepcopy(subject.networks)
    networks.encoder = encoder
    if tune.predictor == "random":
        networks.predictor = fresh.predictor
    return networks


def thaw(encoder: Encoder) -> None:
    """Make the encoder trainable, except for its fixed positions."""
    encoder.requires_grad_(True)
    if isinstance(encoder, ViTEncoder):
        encoder.vit.pos_embed.requires_grad_(False)


def predictor_share(tune: TuneConfig) -> float:
    """Return the predictor's share of the rate: 1 if it starts at random."""
    return 1.0 if tune.predictor == "random" else tune.pretrained_lr_ratio


def encoder_rates(encoder: Any, tune: TuneConfig) -> list[Rate]:
    """Return the encoder's parameters with their layer-decayed rates, as timm groups them."""
    share = 1.0 if tune.encoder == "random" else tune.pretrained_lr_ratio
    if tune.layer_decay == 1:
        return rates_of(encoder, share=share)
    groups = param_groups_layer_decay(encoder.vit, weight_decay=1.0, layer_decay=tune.layer_decay)
    return [
        Rate(parameters=group["params"], share=share * group["lr_scale"], decayed=group["weight_decay"] > 0)
        for group in groups
    ]


def classes_of(
    learner: Any, images: ImageDataset, indices: Any, *, device: torch.device, size: int
) -> dict[str, Tensor]:
    """Return the classes [n] that each of a learner's `logits` predicts for the clean centre crops, on the host."""
    said: dict[str, list[Tensor]] = {}
    for at in range(0, len(indices), CHUNK):
        x_BCSS = views.clean(images.centre(indices[at : at + CHUNK], size=size).to(device))
        for name, logits_BK in learner.logits(x_BCSS).items():
            said.setdefault(name, []).append(logits_BK.argmax(1).cpu())
    return {name: torch.cat(parts) for name, parts in said.items()}


def predictor_of(networks: Networks) -> nn.Module:
    """Return the predictor of networks that have one."""
    return networks.predictor  # pyright: ignore[reportReturnType]


def _loss(name: str, *, protocol: str) -> str:
    """Return `loss` for the protocol's own head, `random_loss` for its baseline."""
    return f"{name.removeprefix(protocol).strip('_')}_loss".lstrip("_")


def mixed(x_BCSS: Tensor, label_B: Tensor, *, classes: int, config: TrialConfig, step: int) -> tuple[Tensor, Tensor]:
    """Return images and soft labels [B, K] of `step`, mixed if `tune.mixup` or `tune.cutmix` is set."""
    share_BK = functional.one_hot(label_B, classes).to(x_BCSS)
    alphas = [name for name in ("mixup", "cutmix") if getattr(config.tune, name) > 0]
    if not alphas:
        return x_BCSS, share_BK
    draws = generator(config.seed, "mix", step)
    kind = alphas[int(draws.integers(len(alphas)))]
    alpha = getattr(config.tune, kind)
    lam = float(draws.beta(alpha, alpha))
    if kind == "cutmix":
        x_BCSS, lam = _cut(x_BCSS, lam=lam, centre=(float(draws.random()), float(draws.random())))
    else:
        x_BCSS = x_BCSS.lerp(x_BCSS.flip(0), 1 - lam)
    return x_BCSS, share_BK.lerp(share_BK.flip(0), 1 - lam)


def cross_entropy(logits_BK: Tensor, share_BK: Tensor, *, config: TrialConfig) -> Tensor:
    """Return the cross-entropy with soft labels, in fp32, with `tune.label_smoothing`."""
    return functional.cross_entropy(logits_BK.float(), share_BK.float(), label_smoothing=config.tune.label_smoothing)


def _cut(x_BCSS: Tensor, *, lam: float, centre: tuple[float, float]) -> tuple[Tensor, float]:
    """Return images with a rectangle of the reversed batch, and the share of the image that is unchanged."""
    S, half = x_BCSS.shape[-1], (1 - lam) ** 0.5 / 2
    (top, bottom), (left, right) = ((max(0, round((c - half) * S)), min(S, round((c + half) * S))) for c in centre)
    inside_SS = torch.zeros(S, S, dtype=torch.bool, device=x_BCSS.device)
    inside_SS[top:bottom, left:right] = True
    return torch.where(inside_SS, x_BCSS.flip(0), x_BCSS), 1 - (bottom - top) * (right - left) / S**2
