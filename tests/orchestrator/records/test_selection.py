"""Cells by their settings."""

import pytest

from iwm_core.config import ConditioningConfig, PredictorConfig, TrialConfig
from orchestrator.errors import OverrideError
from orchestrator.records import journal
from orchestrator.records.selection import condition, select
from orchestrator.trial.value import Trial, canonical_json


@pytest.fixture
def four(on_disk):
    """Depths 2 and 4, with and without an action, by what they are."""
    found = {}
    for depth in (2, 4):
        for kind in ("none", "feature"):
            config = TrialConfig(predictor=PredictorConfig(depth=depth), conditioning=ConditioningConfig(kind=kind))
            trial = Trial(config)
            content = canonical_json(trial.to_dict()).encode()
            journal.replace_file(on_disk.layout.trial(trial.id).value_file, content)
            found[trial.id] = (depth, kind)
    return found


@pytest.mark.parametrize(
    ("where", "chosen"),
    [
        ([], {(2, "none"), (2, "feature"), (4, "none"), (4, "feature")}),
        (["predictor.depth=4"], {(4, "none"), (4, "feature")}),
        (["predictor.depth=4.0"], {(4, "none"), (4, "feature")}),
        (["predictor.depth=4", "conditioning.kind=none"], {(4, "none")}),
        (["conditioning=none"], {(2, "none"), (4, "none")}),
        (["conditioning=none,feature", "predictor.depth=2,3"], {(2, "none"), (2, "feature")}),
        (["predictor.depth=3"], set()),
        (["seed=0", "train.deterministic=null"], {(2, "none"), (2, "feature"), (4, "none"), (4, "feature")}),
    ],
)
def test_select(on_disk, four, where, chosen):
    assert {four[key] for key in select(on_disk.layout, list(four), where)} == chosen


def test_the_order_stays(on_disk, four):
    backwards = sorted(four, reverse=True)
    assert select(on_disk.layout, backwards, ["seed=0"]) == backwards


def test_an_unknown_setting_names_its_neighbours(on_disk, four):
    with pytest.raises(OverrideError) as caught:
        select(on_disk.layout, list(four), ["predictor.deep=4"])
    assert caught.value.value == "predictor.deep"
    assert "predictor.depth" in caught.value.choices
    assert all(name.startswith("predictor.") for name in caught.value.choices)


@pytest.mark.parametrize("text", ["predictor.depth", "=4", "predictor.depth=", "", "predictor.depth=[2"])
def test_a_malformed_condition_is_refused(text):
    with pytest.raises(OverrideError) as caught:
        condition(text)
    assert (caught.value.setting, caught.value.value) == ("--where", text)


def test_a_condition_twice_means_both(on_disk, four):
    assert select(on_disk.layout, list(four), ["predictor.depth=2", "predictor.depth=4"]) == []


def test_axes_of_a_sweep_go_before_settings_and_need_not_be_everybody_s(on_disk, four):
    ids = list(four)
    places = {ids[0]: {"protocol": "knn", "predictor": "small"}, ids[1]: {"predictor": "large"}}
    assert select(on_disk.layout, ids, ["protocol=knn,linear"], places=places) == [ids[0]]
    assert select(on_disk.layout, ids, ["predictor=large"], places=places) == [ids[1]]
    assert select(on_disk.layout, [], ["anything=1"]) == []
    with pytest.raises(OverrideError) as caught:
        select(on_disk.layout, ids, ["protocl=knn"], places=places)
    assert caught.value.value == "protocl"
