r"""`mrr` as a trial of its own: the metrics of the end of pretraining, MRR by operation, and pictures.

    mrr, hit1, hit5, mrr_patchwise, ..., mrr_floor     the same values as in `mrr`
    hit2, hit10                                        share of ranks up to 2 and up to 10, pooled
    mrr_brightness, mrr_contrast, ...                  over a bank in which only this operation acts

The floor (`mrr_floor`, a predictor blind to the action) is the baseline of all of them. Only jitter operations have
banks of their own: with and without grayscale makes a bank of two, and the action does not contain the strength of a
blur. An operation whose maximum is 0 is left out.

retrieval.png has a row for each of `ROWS` images: the clean source, the member of the bank that the action leads to,
and the members nearest to the prediction, the nearest first. Source: the paper's figures of the same kind [C2 S1].

Shapes: K bank, N patches, D width, C channels, S pixels, P parameters, R all ranks.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torchvision.utils import save_image

from iwm_core.data import photometric, views
from iwm_core.data.datasets import ImageDataset, load
from iwm_core.evaluation import mrr
from iwm_core.evaluation.latents import spread
from iwm_core.evaluation.subject import OnlyEncoder, Subject, no_predictor

ROWS = 8
NEAREST = 6
FILE = "retrieval.png"


def measure(subject: Subject) -> dict[str, float]:
    """Return the metrics above, and write the pictures if the subject has a folder for them."""
    if isinstance(subject.networks, OnlyEncoder):
        raise no_predictor(subject.config)
    config = subject.config
    dataset = load(config.data, split="test", root=subject.data_root)
    indices = spread(len(dataset), at_most=config.evaluate.bank_images).tolist()
    whole = mrr.measure(subject)
    ranks_R = torch.cat([_ranks(subject, dataset, index=index) for index in indices])
    hits = {f"hit{within}": float(mrr.hits(ranks_R, within=within).mean()) for within in (2, 10)}
    if subject.pictures:
        _draw(subject, dataset, indices=indices[:ROWS])
    return whole | hits | _by_operation(subject, dataset, indices=indices)


def _by_operation(subject: Subject, dataset: ImageDataset, *, indices: list[int]) -> dict[str, float]:
    found: Mapping[str, list[Tensor]] = {
        name: [_ranks(subject, dataset, index=index, alone=name) for index in indices] for name in jittering(subject)
    }
    return {f"mrr_{name}": float(mrr.reciprocal_ranks(torch.cat(parts)).mean()) for name, parts in found.items()}


def jittering(subject: Subject) -> list[str]:
    """Return the operations that have a bank of their own."""
    photo = subject.config.photometric
    return [
        name
        for name, operation in photometric.OPERATIONS.items()
        if operation.jitter and getattr(photo, f"{name}_max") > 0
    ]


def _ranks(subject: Subject, dataset: ImageDataset, *, index: int, alone: str = "") -> Tensor:
    """Return the pooled ranks of one image's bank, in which all operations act, or only `alone`."""
    p_KND, h_KND, _ = _asked(subject, dataset, index=index, alone=alone)
    return mrr.pooled_ranks(p_KND, h_KND)


def _asked(subject: Subject, dataset: ImageDataset, *, index: int, alone: str) -> tuple[Tensor, Tensor, Tensor]:
    """Return predictions and latents [K, N, D] of one image's bank, and its members' parameters [K, P]."""
    config = subject.config
    q_KP = mrr.bank_parameters(config, index=index)
    if alone:
        q_KP = only(q_KP, alone)
    image_1CSS = dataset.centre([index], size=config.data.image_size).to(subject.device)
    p_KND, h_KND = mrr.answered(subject, image_1CSS=image_1CSS, q_KP=q_KP)
    return p_KND, h_KND, q_KP


def only(q_KP: Tensor, operation: str) -> Tensor:
    """Return the parameters with every other operation at its identity."""
    kept_KP = photometric.identity(len(q_KP))
    column = list(photometric.OPERATIONS).index(operation)
    kept_KP[:, column] = q_KP[:, column]
    return kept_KP


def _draw(subject: Subject, dataset: ImageDataset, *, indices: list[int]) -> None:
    """Write the pictures, in rows of `2 + NEAREST`."""
    config, cells = subject.config, []
    for row, index in enumerate(indices):
        p_KND, h_KND, q_KP = _asked(subject, dataset, index=index, alone="")
        unit_1CSS = views.to_unit(dataset.centre([index], size=config.data.image_size))
        wanted = row % len(q_KP)
        distance_K = torch.cdist(p_KND.mean(1)[wanted : wanted + 1], h_KND.mean(1))[0].cpu()
        order = distance_K.argsort(stable=True)[:NEAREST]
        shown_KP = torch.cat([photometric.identity(1), q_KP[[wanted]], q_KP[order]])
        copies = unit_1CSS.expand(len(shown_KP), -1, -1, -1)
        cells.append(photometric.apply(copies, shown_KP, config=config.photometric))
    assert subject.pictures is not None
    subject.pictures.mkdir(parents=True, exist_ok=True)
    save_image(torch.cat(cells), subject.pictures / FILE, nrow=2 + min(NEAREST, config.evaluate.bank_size), padding=1)
