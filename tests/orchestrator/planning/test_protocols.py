"""From a sweep's `protocols` to one evaluation per trained trial and entry."""

import pytest

from iwm_core.errors import ConfigError
from orchestrator.errors import OverrideError, RequestError
from orchestrator.planning import protocols
from orchestrator.planning.expand import evaluation_of, expand

SWEEP = """
overrides: [evaluate.bank_images=4, train.steps=20, tune.steps=77, 'resources.data_root="/images/${data.dataset}"']
axes: {conditioning: [none, feature]}
protocols:
  default:
  wide: [evaluate=default, evaluate.bank_size=64, data.dataset=birds]
  long: {overrides: [evaluate=default, tune.steps=9], when: {conditioning: feature}}
seeds: 2
"""


@pytest.fixture
def cells(tmp_path):
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    sweep = expand("sweep", sweeps_dir=tmp_path)
    assert sweep.axes == ("conditioning", "seed", "protocol")
    return {tuple(cell.overrides.values()): cell for cell in sweep.cells}


def test_every_trained_trial_brings_its_evaluations(cells):
    assert [key[2:] for key in cells if key[:2] == ("none", 1)] == [(), ("default",), ("wide",)]
    assert [key[2:] for key in cells if key[:2] == ("feature", 0)] == [(), ("default",), ("wide",), ("long",)]
    for key, cell in cells.items():
        assert cell.trial.config.pretrain == (cells[key[:2]].trial.id if key[2:] else "")


def test_an_entry_is_on_top_of_what_holds_for_all(cells):
    wide, long = (cells["feature", 0, label].trial.config for label in ("wide", "long"))
    assert (wide.evaluate.bank_images, wide.evaluate.bank_size, wide.tune.steps) == (4, 64, 77)
    assert (long.evaluate.bank_images, long.evaluate.bank_size, long.tune.steps) == (4, 256, 9)
    assert wide.train.steps == 20


def test_fine_tuning_is_no_part_of_what_is_trained(cells):
    assert cells["feature", 0].trial.config.tune.steps == 300


def test_a_link_is_followed_anew(cells):
    assert cells["none", 0, "default"].resources.data_root == "/images/"
    assert cells["none", 0, "wide"].resources.data_root == "/images/birds"


def test_it_is_the_trial_that_the_verb_would_start(cells):
    (alone,) = evaluation_of(cells["none", 1], ["evaluate.bank_size=64", "data.dataset=birds", "tune.steps=77"]).cells
    assert alone.trial == cells["none", 1, "wide"].trial


@pytest.mark.parametrize(
    ("text", "error", "setting"),
    [
        ("protocols: {nearest:}", OverrideError, "evaluate"),
        ("protocols: {default: [encoder=small]}", RequestError, "encoder"),
        ("protocols: {default: ['tune.lr=1,2']}", OverrideError, "tune.lr"),
        ("protocols: {default: [evaluate.bank_size=1]}", ConfigError, "evaluate.bank_size"),
        ("protocols: {a: [evaluate=default], default:}", OverrideError, "protocols"),
        ("protocols: {default:}\naxes: {tune.lr: [1, 2]}", OverrideError, "tune.lr"),
    ],
)
def test_invalid_protocols_are_refused(tmp_path, text, error, setting):
    (tmp_path / "wrong.yaml").write_text(text)
    with pytest.raises(error) as caught:
        expand("wrong", sweeps_dir=tmp_path)
    assert caught.value.setting == setting


def test_what_an_evaluation_may_change_is_listed():
    with pytest.raises(RequestError) as caught:
        protocols.check(["tune.lr", "seed"])
    assert (caught.value.setting, caught.value.choices) == ("seed", protocols.MAY_CHANGE)


def test_some_labels_can_be_chosen(tmp_path):
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    sweep = expand("sweep", ["protocol=wide,long", "seed=0"], sweeps_dir=tmp_path)
    assert [cell.overrides.get("protocol") for cell in sweep.cells] == [None, "wide", None, "wide", "long"]
    with pytest.raises(OverrideError) as caught:
        expand("sweep", ["protocol=kn"], sweeps_dir=tmp_path)
    assert (caught.value.value, caught.value.choices) == ("kn", ("default", "wide", "long"))
    with pytest.raises(OverrideError) as caught:
        expand("demo", ["protocol=knn"])
    assert caught.value.choices == ()
