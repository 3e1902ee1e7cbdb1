import json
from pathlib import Path

import pytest

from iwm_core.config import PredictorConfig, TrialConfig, from_dict, to_dict
from orchestrator.planning.expand import single
from orchestrator.trial.value import ID_LENGTH, ID_VERSION, Trial, canonical_json, trial_id

GOLDEN = Path(__file__).parents[2] / "golden" / "trial_ids.json"
CHANGED = """The id of this configuration changed, so finished runs would no longer be found.
If a declared default or the numerics behind it changed on purpose: raise ID_VERSION in orchestrator/trial/value.py
and write the new ids to tests/golden/trial_ids.json. If not, restore what changed."""


@pytest.mark.parametrize("overrides", json.loads(GOLDEN.read_text())["ids"])
def test_ids_are_golden(overrides):
    golden = json.loads(GOLDEN.read_text())
    assert golden["id_version"] == ID_VERSION, CHANGED
    assert single(overrides.split()).trial.id == golden["ids"][overrides], CHANGED


def test_the_id_is_of_the_value_and_not_of_its_spelling():
    same = from_dict(TrialConfig, {"predictor": {"depth": 4.0}, "optim": {"grad_clip": 1}})
    assert trial_id(same) == trial_id(TrialConfig(predictor=PredictorConfig(depth=4)))
    assert len(trial_id(same)) == ID_LENGTH


def test_a_default_that_is_written_out_is_still_the_default():
    assert trial_id(from_dict(TrialConfig, to_dict(TrialConfig()))) == trial_id(TrialConfig())


def test_every_setting_that_differs_is_another_trial():
    ids = {trial_id(TrialConfig(seed=seed)) for seed in range(10)}
    assert len(ids) == 10


def test_a_trial_is_what_its_file_says():
    trial = Trial(TrialConfig(seed=3))
    raw = json.loads(json.dumps(trial.to_dict()))
    assert Trial.from_dict(raw) == trial
    assert raw["id"] == trial.id


def test_one_spelling_per_value():
    assert canonical_json({"b": 1.0, "a": [1, None, True, "é"]}) == '{"a":[1,null,true,"\\u00e9"],"b":1.0}'
    with pytest.raises(ValueError):
        canonical_json(float("nan"))
