"""Every protocol on networks of a few hundred weights."""

import dataclasses

import pytest
import torch

from iwm_core.config import EvaluateConfig
from iwm_core.errors import ConfigError
from iwm_core.evaluation import protocols
from iwm_core.evaluation.subject import Subject, evaluation_mode
from iwm_core.evaluation.tuning import score

BASELINES = ("random", "majority", "floor")
"""Each baseline's metric has one of these words in its name."""


def metrics_of(name, subject):
    if name in protocols.MEASURES:
        return protocols.measured(protocols.MEASURES[name], subject)
    return score(protocols.TUNES[name](subject))


def suited(config, name):
    """The configuration on images that the protocol can use."""
    kind = "digits_on_photos" if name.startswith("segmentation") else "random"
    return dataclasses.replace(config, data=dataclasses.replace(config.data, kind=kind))


def test_the_metrics_of_two_protocols_have_no_name_in_common_and_each_has_its_baseline(small, subject):
    found = {name: metrics_of(name, subject(suited(small, name), protocol=name)) for name in protocols.PROTOCOLS}
    names = [metric for metrics in found.values() for metric in metrics]
    assert len(set(names)) == len(names)
    for name, metrics in found.items():
        assert any(metric.startswith(name) for metric in metrics), name
        assert any(word in metric for metric in metrics for word in BASELINES), name
        assert all(isinstance(value, float) for value in metrics.values()), name


@pytest.mark.parametrize("name", protocols.TUNES)
def test_what_is_tuned_has_a_rate_and_what_is_frozen_is_in_no_checkpoint(name, small, subject):
    learner = protocols.TUNES[name](subject(suited(small, name), protocol=name))
    trained = {id(parameter) for parameter in learner.parameters() if parameter.requires_grad}
    rates = [id(parameter) for rate in learner.rates() for parameter in rate.parameters]
    assert sorted(rates) == sorted(trained)
    kept = learner.trained_state()
    assert {key for key, value in learner.named_parameters() if value.requires_grad} <= set(kept)
    tunes_encoder = name in ("encoder_finetune", "segmentation_encoder") or name.endswith("end_to_end")
    assert any("encoder.vit.blocks" in key for key in kept) is tunes_encoder
    assert not any(key.endswith("pos_embed") and value.requires_grad for key, value in learner.named_parameters())


def test_an_unknown_protocol_is_answered_with_those_there_are():
    protocols.check("")
    with pytest.raises(ConfigError) as caught:
        protocols.check("knnn")
    assert (caught.value.setting, caught.value.value) == ("evaluate.protocol", "knnn")
    assert caught.value.choices == protocols.PROTOCOLS


@pytest.mark.parametrize("name", ["predictor_finetune", "multitask", "end_to_end"])
def test_a_protocol_about_a_predictor_refuses_networks_without_one(name, small, subject):
    alone = dataclasses.replace(
        small,
        objective=dataclasses.replace(small.objective, kind="vicreg"),
        conditioning=dataclasses.replace(small.conditioning, kind="none"),
    )
    with pytest.raises(ConfigError) as caught:
        protocols.TUNES[name](subject(alone, protocol=name))
    assert (caught.value.setting, caught.value.value) == ("evaluate.protocol", name)


def test_a_random_start_is_the_start_of_pretraining(small, subject):
    scratch = dataclasses.replace(small, tune=dataclasses.replace(small.tune, predictor="random", encoder="random"))
    tested = subject(scratch, protocol="end_to_end")
    learner = protocols.TUNES["end_to_end"](tested)
    start = tested.untrained().state_dict()
    for name, value in learner.get_submodule("networks").state_dict().items():
        assert torch.equal(value, start[name]), name
    assert {rate.share for rate in learner.rates()} == {1.0}


@pytest.fixture
def at_the_end(config, networks):
    """Networks of a trial at the end of its pretraining."""
    few = EvaluateConfig(bank_size=4, bank_images=1, probe_train_images=50, probe_test_images=20)
    few = dataclasses.replace(config, evaluate=few)
    return Subject(config=few, networks=networks[0], target=networks[1], device=torch.device("cpu"))


def test_every_protocol_at_the_end_of_pretraining_says_something_of_its_own(at_the_end):
    results = protocols.evaluate(at_the_end)
    assert list(results) == list(protocols.AT_THE_END)
    names = [name for metrics in results.values() for name in metrics]
    assert len(set(names)) == len(names)
    assert {"mrr", "mrr_floor", "linear_probe_top1", "random_probe_top1"} <= set(names)
    assert all(isinstance(value, float) for metrics in results.values() for value in metrics.values())


def test_it_leaves_the_networks_as_they_were_and_ignores_autocast(at_the_end):
    model, target = at_the_end.networks, at_the_end.target
    plain = protocols.evaluate(at_the_end)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert protocols.evaluate(at_the_end) == plain
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
