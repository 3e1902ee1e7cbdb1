import pytest
import torch

from iwm_core.objectives import table as objectives
from iwm_core.training.ema import TargetEncoder

Y_BCHW = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def encoder(tiny):
    return objectives.build(tiny).encoder


def test_starts_as_a_copy_that_is_not_trained(encoder):
    target = TargetEncoder(encoder, normalise=False)
    assert torch.equal(target(Y_BCHW).h_BND, encoder(Y_BCHW))
    assert not any(parameter.requires_grad for parameter in target.parameters())
    assert encoder.vit.norm.weight.requires_grad


def test_latents_have_no_gradient(encoder):
    assert not TargetEncoder(encoder, normalise=True)(Y_BCHW).h_BND.requires_grad


def test_normalised_latents_have_mean_zero_and_variance_one(encoder):
    h_BND = TargetEncoder(encoder, normalise=True)(Y_BCHW).h_BND
    torch.testing.assert_close(h_BND.mean(-1), torch.zeros(2, 16), atol=1e-5, rtol=0)
    torch.testing.assert_close(h_BND.var(-1, correction=0), torch.ones(2, 16), atol=1e-3, rtol=0)


def test_at_takes_each_samples_own_positions(encoder):
    latents = TargetEncoder(encoder, normalise=True)(Y_BCHW)
    h_BMD = latents.at(torch.tensor([[3, 0], [15, 7]]))
    assert torch.equal(h_BMD[0, 1], latents.h_BND[0, 0])
    assert torch.equal(h_BMD[1, 0], latents.h_BND[1, 15])


def test_update_moves_every_weight_its_share_of_the_way(encoder):
    target = TargetEncoder(encoder, normalise=True)
    before = {name: value.clone() for name, value in target.encoder.state_dict().items()}
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(1.0)
    target.update(encoder, decay=0.75)
    for name, value in target.encoder.state_dict().items():
        torch.testing.assert_close(value, before[name] + 0.25)


def test_a_decay_of_one_changes_no_bit(encoder):
    target = TargetEncoder(encoder, normalise=True)
    before = {name: value.clone() for name, value in target.encoder.state_dict().items()}
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.mul_(1.7)
    target.update(encoder, decay=1.0)
    assert all(torch.equal(value, before[name]) for name, value in target.encoder.state_dict().items())
