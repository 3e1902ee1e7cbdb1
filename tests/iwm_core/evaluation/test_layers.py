import dataclasses

import pytest
import torch

from iwm_core.evaluation.layers import curve
from iwm_core.evaluation.subject import everywhere, null_action

X = torch.linspace(-1, 1, 2 * 3 * 16 * 16).view(2, 3, 16, 16)


@pytest.mark.parametrize("conditioning", ["feature", "sequence", "adaln"])
def test_the_last_points_are_what_the_networks_give(conditioning, small, subject):
    config = dataclasses.replace(small, conditioning=dataclasses.replace(small.conditioning, kind=conditioning))
    tested = subject(config)
    with torch.no_grad():
        found = curve(X, encoder=tested.encoder, networks=tested.networks)
        z = tested.encoder(X)
        p = tested.networks.predict(z, null_action(z), everywhere(z))
    assert list(found) == ["encoder_01", "encoder_02", "predictor_01", "predictor_02"]
    assert all(len(point) == 2 for point in found.values())
    predictor = tested.predictor
    with torch.no_grad():
        seen = []
        hook = predictor.norm.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
        assert torch.equal(tested.networks.predict(z, null_action(z), everywhere(z)), p)
        hook.remove()
    torch.testing.assert_close(found["predictor_02"], seen[0].mean(1))


def test_it_leaves_no_hook_behind(small, subject):
    tested = subject(small)
    curve(X, encoder=tested.encoder, networks=tested.networks)
    modules = [*tested.encoder.modules(), *tested.networks.modules()]
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in modules)
