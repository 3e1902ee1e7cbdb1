import torch

from iwm_core.config import EncoderConfig, PredictorConfig, TrialConfig
from iwm_core.data.masks import Masks
from iwm_core.data.photometric import ACTION_DIM
from iwm_core.objectives import table as objectives

CONFIG = TrialConfig(encoder=EncoderConfig(width=32), predictor=PredictorConfig(width=32))
EVERY = torch.arange(16).expand(2, -1)
X_BCHW = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
A_BA = torch.randn(2, ACTION_DIM, generator=torch.Generator().manual_seed(1))


def test_forward_is_the_predictor_on_the_visible_latents():
    model = objectives.build(CONFIG)
    masks = Masks(torch.tensor([[0, 1, 5], [2, 9, 11]]), torch.tensor([[7, 8], [0, 1]]))
    z_BKD = model.encoder(X_BCHW, keep_BK=masks.context_BK)
    assert torch.equal(model(X_BCHW, A_BA, masks), model.predict(z_BKD, A_BA, masks))


def test_predict_takes_latents_of_all_patches():
    model = objectives.build(CONFIG)
    assert model.predict(model.encoder(X_BCHW), A_BA, Masks(EVERY, EVERY)).shape == (2, 16, 32)
