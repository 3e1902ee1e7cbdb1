import dataclasses

import pytest
import torch
from torch.nn import functional

from iwm_core.config import ConditioningConfig, MasksConfig, ObjectiveConfig
from iwm_core.data.masks import Masks, Sequences
from iwm_core.data.photometric import ACTION_DIM
from iwm_core.evaluation.mrr import floor
from iwm_core.events import Finished
from iwm_core.objectives.ijepa import IJEPA, Drawn
from iwm_core.objectives.objective import Part
from iwm_core.training import state

DRAW = torch.Generator().manual_seed(0)
X_BCHW = torch.randn(2, 3, 16, 16, generator=DRAW)
MASKS = Sequences(
    context_BK=torch.tensor([[0, 1], [2, 3]]),
    target_BSM=torch.tensor([[[4, 5, 9], [5, 6, 7]], [[0, 8, 15], [10, 11, 12]]]),
)


@pytest.fixture
def config(tiny):
    return dataclasses.replace(
        tiny,
        objective=ObjectiveConfig(kind="ijepa", loss="smooth_l1"),
        conditioning=ConditioningConfig(kind="none"),
        masks=MasksConfig(kind="multiblock", sequences="blocks", context_ratio=0.25, target_ratio=0.14),
    )


def test_each_block_is_predicted_on_its_own_from_one_context(config):
    made = state.build(config, device=torch.device("cpu"))
    terms = IJEPA.loss(made.networks, made.target, Drawn(X_BCHW, MASKS), config)
    latents, z_BKD = made.target(X_BCHW), made.networks.encoder(X_BCHW, keep_BK=MASKS.context_BK)
    alone = []
    for target_BM in MASKS.target_BSM.unbind(1):
        p_BMD = made.networks.predict(z_BKD, torch.zeros(2, ACTION_DIM), Masks(MASKS.context_BK, target_BM))
        alone.append(functional.smooth_l1_loss(p_BMD, latents.at(target_BM)))
    torch.testing.assert_close(terms.loss, torch.stack(alone).mean())
    assert terms.p_BMD.shape == (2, 6, config.encoder.width)


def test_a_sample_is_drawn_as_it_would_be_in_the_whole_batch(config):
    noisy = dataclasses.replace(config, predictor=dataclasses.replace(config.predictor, position_noise=0.25))
    image_BCHW = torch.randint(0, 256, (8, 3, 16, 16), dtype=torch.uint8, generator=DRAW)
    whole, part = (IJEPA.draw(Part(image_BCHW=image_BCHW[at:], step=5, first=at), noisy) for at in (0, 6))
    assert whole.masks.target_BSM.shape == (8, 4, 2)
    for one, other in [
        (whole.x_BCHW, part.x_BCHW),
        (whole.masks.context_BK, part.masks.context_BK),
        (whole.masks.target_BSM, part.masks.target_BSM),
        (whole.noise_BXD, part.noise_BXD),
    ]:
        assert torch.equal(one[6:], other)


def test_one_union_is_one_sequence(config):
    union = dataclasses.replace(config, masks=MasksConfig())
    image_BCHW = torch.zeros(8, 3, 16, 16, dtype=torch.uint8)
    assert IJEPA.draw(Part(image_BCHW=image_BCHW, step=0), union).masks.target_BSM.shape == (8, 1, 7)


def test_without_an_action_the_reciprocal_rank_is_the_floor(config, run):
    end = run(config).end
    assert isinstance(end, Finished)
    assert end.metrics["mrr"] == pytest.approx(floor(config.evaluate.bank_size))
