r"""The guillotine curve: linear probe accuracy after every block of the encoder and of the predictor.

    v_l = mean over positions of the output of block l,     top1_l = logistic.probe(v_l)

    probe_layers_encoder_01_top1 ...             after each encoder block, before its last norm
    probe_layers_predictor_01_top1 ...           after each predictor block, at its queries: null action, all positions
    probe_layers_random_encoder_01_top1 ...      the same before training (`random_predictor`, too)
    probe_layers_top1                            the best of the trained ones
    probe_layers_majority_top1                   always the class most frequent in training

Source: accuracy by depth, from Guillotine Regularization (Bordes et al., 2022) [RECALLED, high]: the
pretraining task specialises the last layers. The predictor runs as in fine-tuning: latents of all patches, null action
[C2 S1]. Networks without a predictor, and timm models, have only the encoder's part of the curve.

Shapes: B images, S tokens of a block, N patches, D width.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from torch import Tensor, nn

from iwm_core.data import views
from iwm_core.evaluation import latents, logistic
from iwm_core.evaluation.subject import Subject, everywhere, null_action
from iwm_core.models.encoder import Encoder
from iwm_core.objectives.objective import Networks


def measure(subject: Subject) -> dict[str, float]:
    """The metrics above."""
    untrained = subject.untrained()
    tested = {"": (subject.encoder, subject.networks), "random_": (untrained.encoder, untrained)}

    def of_blocks(image_BCSS: Tensor, _: np.ndarray) -> dict[str, Tensor]:
        x_BCSS = views.clean(image_BCSS)
        return {
            f"{prefix}{name}": v_BD
            for prefix, (encoder, networks) in tested.items()
            for name, v_BD in curve(x_BCSS, encoder=encoder, networks=networks).items()
        }

    train, test = (latents.read(subject, split=split, features=of_blocks) for split in ("train", "test"))
    l2, threads = subject.config.evaluate.probe_l2, subject.config.train.threads
    top1 = {name: logistic.probe(train[name], test[name], l2=l2, threads=threads).top1 for name in train}
    labels = next(iter(train.values())).labels, next(iter(test.values())).labels
    return {
        **{f"probe_layers_{name}_top1": value for name, value in top1.items()},
        "probe_layers_top1": max(value for name, value in top1.items() if not name.startswith("random_")),
        "probe_layers_majority_top1": logistic.majority(*labels),
    }


def curve(x_BCHW: Tensor, *, encoder: Encoder, networks: Networks) -> dict[str, Tensor]:
    """Return v_l [B, D] of every block, by name."""
    with outputs(encoder_blocks(encoder)) as seen:
        z_BND = encoder(x_BCHW)
    skip = int(getattr(encoder.vit, "num_prefix_tokens", 0))
    found = {f"encoder_{at:02d}": _pooled(output, skip=skip) for at, output in enumerate(seen, start=1)}
    predictor: Any = getattr(networks, "predictor", None)
    if predictor is None:
        return found
    with outputs(list(predictor.blocks)) as seen:
        networks.predict(z_BND, null_action(z_BND), everywhere(z_BND))
    queries = z_BND.shape[1]
    return found | {f"predictor_{at:02d}": s_BSD[:, -queries:].mean(1) for at, s_BSD in enumerate(seen, start=1)}


def encoder_blocks(encoder: Encoder) -> Sequence[nn.Module]:
    """Return the blocks of a transformer, or the stages of another timm model."""
    found = (getattr(encoder.vit, name, None) for name in ("blocks", "stages", "layers"))
    blocks: Any = next((part for part in found if part is not None), None)
    return [encoder.vit] if blocks is None else list(blocks)


@contextmanager
def outputs(modules: Sequence[nn.Module]) -> Iterator[list[Any]]:
    """Collect the outputs of the modules inside the block, in call order."""
    seen: list[Any] = []
    hooks = [module.register_forward_hook(lambda _, __, output: seen.append(output)) for module in modules]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def _pooled(output: Tensor, *, skip: int) -> Tensor:
    """Return the mean [B, D] over tokens [B, S, D] or over the spatial axes of a feature map."""
    if output.dim() == 3:
        return output[:, skip:].mean(1)
    square = output.shape[2] == output.shape[3]
    return output.mean((2, 3)) if square and output.dim() == 4 else output.flatten(1, -2).mean(1)
