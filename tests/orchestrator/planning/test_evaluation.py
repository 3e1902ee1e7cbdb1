"""From a known trial to the trial that evaluates it."""

import pytest

from iwm_core.config import TrialConfig
from iwm_core.errors import ConfigError
from orchestrator.errors import OverrideError, RequestError
from orchestrator.planning.catalogue import protocol_names
from orchestrator.planning.expand import asked, evaluation_of, single
from orchestrator.trial.sweep import Cell, Resources
from orchestrator.trial.value import Trial

PARENT = Cell(Trial(TrialConfig(seed=5)), {"seed": 5}, Resources(partition="gpu", mem_gb=3))


def test_it_has_the_settings_of_its_trial_but_for_what_is_said():
    sweep = evaluation_of(PARENT, ["evaluate.bank_size=128", "resources.mem_gb=4"])
    (cell,) = sweep.cells
    assert (cell.trial.config.pretrain, cell.trial.config.seed) == (PARENT.trial.id, 5)
    assert (cell.trial.config.evaluate.bank_size, cell.resources.partition, cell.resources.mem_gb) == (128, "gpu", 4.0)
    assert (sweep.name, sweep.axes) == (f"evaluate-{PARENT.trial.id[:8]}", ("evaluate.bank_size", "resources.mem_gb"))
    assert dict(cell.overrides) == {"evaluate.bank_size": 128, "resources.mem_gb": 4.0}
    assert cell.trial.id != PARENT.trial.id
    assert evaluation_of(PARENT, ["evaluate.bank_size=128", "resources.mem_gb=4"]).id == sweep.id


def test_a_group_replaces_that_of_its_trial():
    (cell,) = evaluation_of(PARENT, ["resources=slurm", "evaluate=default"]).cells
    assert cell.resources == single(["resources=slurm"]).resources
    assert cell.trial.config.seed == 5


def test_a_link_in_a_group_is_to_a_setting_of_its_trial():
    parent = single(["encoder=base", "predictor=d12w384"])
    (cell,) = evaluation_of(parent, ["tune=imagenet"]).cells
    assert cell.trial.config.tune.head_heads == 12


@pytest.mark.parametrize(
    ("override", "error"),
    [
        ("encoder.width=32", RequestError),
        ("encoder=small", RequestError),
        ("pretrain='0123456789abcdef'", RequestError),
        ("evaluate.bank_size=8,16", OverrideError),
        ("evaluate.bank=8", OverrideError),
        ("evaluate.bank_size=1", ConfigError),
    ],
)
def test_what_an_evaluation_cannot_have_is_refused(override, error):
    with pytest.raises(error) as caught:
        evaluation_of(PARENT, [override])
    assert caught.value.setting == override.partition("=")[0]


def test_an_evaluation_of_an_evaluation_is_refused():
    (cell,) = evaluation_of(PARENT, []).cells
    with pytest.raises(RequestError) as caught:
        evaluation_of(cell, [])
    assert (caught.value.setting, caught.value.value) == ("pretrain", PARENT.trial.id)


def test_a_protocol_is_named_before_the_overrides():
    assert asked("knn", ["evaluate.neighbours=5"]) == ("evaluate.protocol=knn", "evaluate.neighbours=5")
    assert asked("evaluate.bank_size=8", []) == ("evaluate.bank_size=8",)
    assert asked(None, []) == ()
    with pytest.raises(RequestError) as caught:
        asked("knnn", [])
    assert (caught.value.value, caught.value.choices) == ("knnn", protocol_names())


def test_two_protocols_of_a_trial_are_two_sweeps():
    sweeps = [evaluation_of(PARENT, asked(name, [])) for name in ("knn", "linear")]
    assert [sweep.name for sweep in sweeps] == [f"evaluate-{PARENT.trial.id[:8]}-{name}" for name in ("knn", "linear")]
    assert sweeps[0].cells[0].trial.config.evaluate.protocol == "knn"


def test_a_timm_model_has_no_parent_to_wait_for():
    config = single(["pretrain='timm:vit_tiny_patch16_224.augreg_in21k'", "evaluate=knn"]).trial.config
    assert config.parent == ""


@pytest.mark.parametrize(
    ("overrides", "setting", "value"),
    [
        (["pretrain='timm:resnet18'"], "evaluate.protocol", ""),
        (["pretrain='timm:resnet18'", "evaluate=mrr"], "evaluate.protocol", "mrr"),
        (["pretrain='timm:'", "evaluate=knn"], "pretrain", "timm:"),
        (["evaluate=knn"], "pretrain", None),
        (["evaluate.protocol=knnn", "pretrain='0123456789abcdef'"], "evaluate.protocol", "knnn"),
    ],
)
def test_what_has_no_weights_to_evaluate_is_refused(overrides, setting, value):
    with pytest.raises(ConfigError) as caught:
        single(overrides)
    assert (caught.value.setting, caught.value.value) == (setting, value)


def test_pretrain_is_an_id():
    assert single(["pretrain='0123456789abcdef'"]).trial.config.pretrain == "0123456789abcdef"
    with pytest.raises(ConfigError) as caught:
        single(["pretrain=none"])
    assert caught.value.setting == "pretrain"
