import dataclasses

import pytest
import torch

from iwm_core.config import EvaluateConfig
from iwm_core.evaluation.run import AT_THE_END, evaluate, evaluation_mode

CPU = torch.device("cpu")


@pytest.fixture
def small(config):
    few = EvaluateConfig(bank_size=4, bank_images=1, probe_train_images=50, probe_test_images=20)
    return dataclasses.replace(config, evaluate=few)


def test_every_protocol_says_something_of_its_own(small, networks):
    model, target = networks
    results = evaluate(small, networks=model, target=target, device=CPU, data_root="")
    assert list(results) == list(AT_THE_END)
    names = [name for metrics in results.values() for name in metrics]
    assert len(set(names)) == len(names)
    assert {"mrr", "mrr_floor", "linear_probe_top1", "random_probe_top1"} <= set(names)
    assert all(isinstance(value, float) for metrics in results.values() for value in metrics.values())


def test_it_leaves_the_networks_as_they_were_and_ignores_autocast(small, networks):
    model, target = networks
    plain = evaluate(small, networks=model, target=target, device=CPU, data_root="")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert evaluate(small, networks=model, target=target, device=CPU, data_root="") == plain
    assert all(module.training for module in model.modules())
    assert not target.encoder.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_each_module_gets_its_own_mode_back(networks):
    model, _ = networks
    model.train()
    model.encoder.vit.norm.eval()
    with evaluation_mode(model):
        assert not any(module.training for module in model.modules())
    assert model.predictor.training
    assert not model.encoder.vit.norm.training
