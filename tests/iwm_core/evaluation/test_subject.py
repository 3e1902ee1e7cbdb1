import dataclasses

import pytest
import torch
from torchvision.utils import save_image

from iwm_core.config import RuntimeConfig
from iwm_core.errors import ConfigError, DataError
from iwm_core.evaluation.subject import OnlyEncoder, public, starting
from iwm_core.evaluation.trial import examine
from iwm_core.events import Finished, RunCallbacks

RUNTIME = RuntimeConfig(device="cpu")


def examined(config, tmp_path=None, **runtime):
    """The metrics of a trial without a parent."""
    end = examine(
        config,
        dataclasses.replace(RUNTIME, **runtime),
        parent=None,
        done={},
        callbacks=RunCallbacks(),
    )
    assert isinstance(end, Finished)
    return end.metrics


def of_timm(config, name, protocol):
    return dataclasses.replace(
        config, pretrain=f"timm:{name}", evaluate=dataclasses.replace(config.evaluate, protocol=protocol)
    )


def test_the_same_gauntlet_runs_over_a_timm_model(small):
    found = examined(of_timm(small, "resnet10t", "linear"))
    assert {"linear_probe_top1", "random_probe_top1", "majority_top1"} <= set(found)
    found = examined(of_timm(small, "vit_tiny_patch16_224", "probe_layers"))
    assert {"probe_layers_encoder_12_top1", "probe_layers_random_encoder_01_top1"} <= set(found)
    assert not [name for name in found if "predictor" in name]


def test_without_weights_it_is_the_random_one(small):
    config = of_timm(small, "resnet10t", "knn")
    one, other = public(config, weights_file="").state_dict(), starting(config).state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert isinstance(starting(config), OnlyEncoder)


def test_a_timm_model_without_a_protocol_or_with_one_about_predictors_is_refused(small):
    with pytest.raises(ConfigError, match=r"needs evaluate\.protocol"):
        examined(of_timm(small, "resnet10t", ""))
    with pytest.raises(ConfigError) as caught:
        examined(of_timm(small, "resnet10t", "mrr"))
    assert (caught.value.setting, caught.value.value) == ("evaluate.protocol", "mrr")


@pytest.mark.parametrize("protocol", ["knn", "per_class"])
def test_one_class_is_refused(protocol, small, tmp_path):
    for split in ("train", "val"):
        (tmp_path / split / "only").mkdir(parents=True)
        save_image(torch.rand(3, 16, 16), tmp_path / split / "only" / "0.png")
    config = dataclasses.replace(small, data=dataclasses.replace(small.data, kind="imagefolder", dataset="one"))
    with pytest.raises(DataError) as caught:
        examined(of_timm(config, "resnet10t", protocol), data_root=str(tmp_path))
    assert (caught.value.setting, caught.value.value) == ("evaluate.protocol", protocol)
