import pytest

from iwm_core.config import TrialConfig
from iwm_core.errors import ConfigError
from orchestrator.planning.composition import Builder, check_value, merge, resolve, value_of
from orchestrator.trial.sweep import Resources

TREE = {"a": {"x": 1, "y": "${b.z}"}, "b": {"z": "${c}"}, "c": 3}


def never(tree):
    raise AssertionError(tree)


def test_groups_that_nothing_touches_are_shared():
    merged = merge(TREE, {"a.x": 2, "c": 4})
    assert merged == {"a": {"x": 2, "y": "${b.z}"}, "b": {"z": "${c}"}, "c": 4}
    assert merged["b"] is TREE["b"]
    assert TREE["a"] == {"x": 1, "y": "${b.z}"}


def test_links_are_followed_to_the_merged_value():
    assert resolve(merge(TREE, {"c": 4}), slowly=never) == {"a": {"x": 1, "y": 4}, "b": {"z": 4}, "c": 4}


@pytest.mark.parametrize(
    "link", ["${.x}", "a${c}", "${oc.env:HOME}", "${b}", "${b.no}", "${no}", "${a.x}", "${c.d}", "???", "\\${c}", [1]]
)
def test_everything_else_is_left_to_omegaconf(link):
    resolved = resolve({**TREE, "a": {"x": link}}, slowly=lambda tree: {"a": ("slowly", tree["a"]["x"])})
    assert resolved == {"a": ("slowly", link), "b": {"z": 3}, "c": 3}


def test_only_what_is_needed_is_left_to_omegaconf():
    asked = []
    tree = {**TREE, "d": {"e": "f", "text": "a"}, "g": {"h": "${d.e}/${oc.env:HOME}"}}
    resolve(tree, slowly=lambda part: asked.append(set(part)) or part)
    assert asked == [{"d", "g"}]
    resolve(tree | {"g": {"h": "in ${b.z}"}}, slowly=lambda part: asked.append(set(part)) or part)
    assert asked[1] == {"b", "c", "g"}


def test_what_was_built_is_built_once():
    builder = Builder()
    first, _ = builder.build({"predictor": {"depth": 4}, "seed": 1})
    second, resources = builder.build({"predictor": {"depth": 4}, "seed": 2, "resources": {"slots": 3}})
    assert first.predictor is second.predictor
    assert (second.seed, resources) == (2, Resources(slots=3))
    assert builder.build({}) == (TrialConfig(), Resources())


def test_equal_values_of_another_type_are_not_mixed_up():
    builder = Builder()
    builder.build({"train": {"steps": 1}})
    with pytest.raises(ConfigError) as caught:
        builder.build({"train": {"steps": True}})
    assert (caught.value.setting, caught.value.value) == ("train.steps", True)


@pytest.mark.parametrize(
    ("tree", "setting"),
    [
        ({"nope": 1}, "nope"),
        ({"predictor": {"nope": 1}}, "predictor.nope"),
        ({"resources": {"nope": 1}}, "resources.nope"),
        ({"predictor": 3}, "predictor"),
    ],
)
def test_what_a_trial_does_not_have_is_refused(tree, setting):
    with pytest.raises(ConfigError) as caught:
        Builder().build(tree)
    assert caught.value.setting == setting


def test_a_value_is_checked_unless_it_is_a_link():
    check_value("optim.lr", 1)
    check_value("train.deterministic", None)
    check_value("seed", "${train.steps}")
    with pytest.raises(ConfigError) as caught:
        check_value("resources.slots", 1.5)
    assert (caught.value.setting, caught.value.value) == ("resources.slots", 1.5)


def test_settings_are_found_in_the_trial_and_in_its_resources():
    config, resources = TrialConfig(seed=3), Resources(slots=4)
    found = [value_of(config, resources, key) for key in ("seed", "predictor.depth", "resources.slots")]
    assert found == [3, config.predictor.depth, 4]
