import pytest
import torch

from iwm_core.config import ConditioningConfig
from iwm_core.errors import ConfigError
from iwm_core.models.conditioning import CONDITIONINGS, SequenceConditioning, build

Q_BMD = torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(0))
A_BA = torch.randn(2, 7, generator=torch.Generator().manual_seed(1))


def made(kind, **settings):
    return build(ConditioningConfig(kind=kind, **settings), width=16, actions=7, depth=3)


@pytest.mark.parametrize("kind", CONDITIONINGS)
def test_queries_keep_their_shape_and_tokens_have_their_width(kind):
    q_BMD, tokens_BTD, _ = made(kind)(Q_BMD, A_BA)
    assert q_BMD.shape == Q_BMD.shape
    assert tokens_BTD is None or tokens_BTD.shape[::2] == (2, 16)


def test_none_hands_the_queries_on():
    assert made("none")(Q_BMD, A_BA) == (Q_BMD, None, None)


def test_sequence_adds_one_token_per_scalar():
    module = SequenceConditioning(ConditioningConfig(kind="sequence"), width=16, actions=7, depth=3)
    tokens_BTD = module(Q_BMD, A_BA).tokens_BTD
    assert tokens_BTD is not None
    token_D = A_BA[1, 3] * module.slope_AD[3] + module.offset_AD[3]
    assert tokens_BTD.shape == (2, 7, 16)
    torch.testing.assert_close(tokens_BTD[1, 3], token_D)


@pytest.mark.parametrize(("layers", "linears"), [(1, 1), (2, 2), (3, 3)])
def test_feature_has_as_many_layers_as_it_is_told(layers, linears):
    maps = [module for module in made("feature", layers=layers).modules() if isinstance(module, torch.nn.Linear)]
    assert len(maps) == linears
    assert maps[0].in_features == 16 + 7


def test_feature_is_one_network_per_position():
    module = made("feature", activation="gelu")
    whole, alone = module(Q_BMD, A_BA).q_BMD, module(Q_BMD[:, 2:3], A_BA).q_BMD
    torch.testing.assert_close(whole[:, 2:3], alone)


def test_adaln_starts_with_closed_gates_in_every_block():
    q_BMD, _, modulations = made("adaln")(Q_BMD, A_BA)
    assert torch.equal(q_BMD, Q_BMD)
    assert modulations is not None
    assert len(modulations) == 3
    for branch in (branch for modulation in modulations for branch in modulation):
        assert all(part.shape == (2, 1, 16) and not part.any() for part in branch)


def test_an_unknown_kind_is_answered_with_the_valid_ones():
    with pytest.raises(ConfigError) as caught:
        made("no_such")
    assert caught.value.setting == "conditioning.kind"
    assert caught.value.choices == tuple(CONDITIONINGS)
