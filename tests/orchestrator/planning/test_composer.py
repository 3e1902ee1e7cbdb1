import json
import random
from typing import Any, cast

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.version import VersionBase
from omegaconf import OmegaConf

from iwm_core.config import TrialConfig, flatten, from_dict, to_dict
from orchestrator.errors import OverrideError
from orchestrator.planning.catalogue import PACKAGED, SETTINGS, Catalogue
from orchestrator.planning.composer import Composer, composed, searching
from orchestrator.planning.composition import Builder
from orchestrator.planning.expand import expand, single
from orchestrator.planning.overrides import read_overrides
from orchestrator.trial.sweep import Resources, Scalar
from orchestrator.trial.value import trial_id

CATALOGUE = Catalogue((PACKAGED,))
LINKS = [  # to settings that the random cells give no link, so that none goes round in a circle
    "${encoder.heads}",
    "${train.steps}",
    "${predictor.depth}",
    "${optim.lr}",
    "${photometric.strength}",
]
DECODED = """'${oc.decode:"3"}'"""
DEFAULTS = flatten({**to_dict(TrialConfig()), "resources": to_dict(Resources())})


# The tree


def test_the_tree_shows_every_setting_with_its_declared_default():
    tree = composed({}, CATALOGUE)
    assert set(flatten(tree)) == set(SETTINGS)
    assert single() == single([])
    assert (single().trial.config, single().resources) == (TrialConfig(), Resources())


@pytest.mark.slow
def test_every_option_composes_with_every_setting_of_its_group():
    for group, options in CATALOGUE.groups.items():
        for option in options:
            tree = Composer(CATALOGUE).tree({group: option})
            assert set(flatten(tree)) == set(SETTINGS), f"{group}={option}"
            Builder().build(tree)


def test_the_predictor_has_the_encoders_heads():
    assert composed({"predictor": "d18w384"}, CATALOGUE)["predictor"]["heads"] == "${encoder.heads}"
    tree = Composer(CATALOGUE).tree({"predictor": "d18w384", "encoder": "base"})
    assert tree["predictor"]["heads"] == 12
    assert Composer(CATALOGUE).tree({"encoder.heads": 4})["predictor"]["heads"] == 4


@pytest.mark.parametrize(
    "pair", ["tiny d12w384", "small d12w384", "base d12w384", "base d18w384", "large d36w512", "huge d12w384"]
)
@pytest.mark.parametrize("masks", ["union", "lean", "multiblock"])
def test_the_papers_sizes_fit_each_other(pair, masks):
    encoder, predictor = pair.split()
    images = ["data=imagefolder", "data.dataset=imagenet1k"]
    cell = single([f"encoder={encoder}", f"predictor={predictor}", f"masks={masks}", *images])
    assert cell.trial.config.grid == (16 if encoder == "huge" else 14)


def test_faithful_values_are_ijepas():
    config = single(["optim=ijepa", "train=imagenet300"]).trial.config
    assert config.optim.lr * config.optim.lr_start_ratio == pytest.approx(2e-4)
    assert config.optim.lr * config.optim.lr_final_ratio == pytest.approx(1e-6)
    assert config.optim.warmup_ratio * 300 == 40
    assert config.train.steps / 300 == 625


# The same as Hydra


def random_value(draw: random.Random, key: str) -> str:
    """A value for the setting, as a person might type it."""
    default = DEFAULTS[key]
    if key == "train.deterministic":
        return draw.choice(["true", "false", "null"])
    if isinstance(default, bool):
        return draw.choice(["true", "FALSE"])
    if isinstance(default, int):
        return draw.choice(
            [str(draw.randrange(100)), "4.0", "1e2", "int(7)", *(f"'{link}'" for link in LINKS[:3]), DECODED]
        )
    if isinstance(default, float):
        return draw.choice([repr(draw.random()), "1", ".5", "1e-3", "5.E-4", *LINKS])
    return default or draw.choice(
        ["imagenet", "'a b'", '"it\'s, [so]"', "'1'", r"'\${x}'", "a/b-c", "''", "'x${seed}'"]
    )


def random_groups(draw: random.Random) -> list[str]:
    groups = draw.sample(sorted(CATALOGUE.groups), draw.randrange(6))
    return [f"{group}={draw.choice(CATALOGUE.groups[group])}" for group in groups]


def random_settings(draw: random.Random) -> list[str]:
    keys = [key for key in draw.sample(SETTINGS, draw.randrange(1, 12)) if f"${{{key}}}" not in LINKS]
    overrides = [f"{key}={random_value(draw, key)}" for key in keys]
    return [*overrides, *draw.sample(["encoder.heads=4", "train.steps=77", "predictor.depth=3.0", "optim.lr=1e-4"], 2)]


def hydras(overrides: list[str]) -> dict[str, Any]:
    """The resolved configuration as Hydra alone would have it."""
    with searching(CATALOGUE.folders):
        return cast(dict[str, Any], OmegaConf.to_container(compose("config", overrides), resolve=True))


def settings_of(overrides: list[str]) -> dict[str, Scalar]:
    return {setting.key: setting.values[0] for setting in read_overrides(overrides, CATALOGUE)}


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 8))])
def test_random_cells_200_in_all_are_what_hydra_composes(seed):
    draw, composer = random.Random(seed), Composer(CATALOGUE)
    combinations = [random_groups(draw) for _ in range(3)]
    for at in range(25):
        overrides = combinations[at % 3] + random_settings(draw)
        draw.shuffle(overrides)
        config, resources = Builder().build(composer.tree(settings_of(overrides)))
        expected = hydras(overrides)
        assert resources == from_dict(Resources, expected.pop("resources")), overrides
        assert config == from_dict(TrialConfig, expected), overrides
        assert trial_id(config) == trial_id(from_dict(TrialConfig, expected)), overrides


def test_the_resolved_tree_is_hydras_to_the_type():
    overrides = ["encoder=base", "predictor=d12w384", "seed=3", "data.dataset='1'", "train.deterministic=true"]
    tree = Composer(CATALOGUE).tree(settings_of(overrides))
    assert json.dumps(tree, sort_keys=True) == json.dumps(hydras(overrides), sort_keys=True)


# Hydra's global state


def test_hydras_global_state_is_as_it_was():
    before = VersionBase.instance().version_base
    expand("demo")
    assert not GlobalHydra.instance().is_initialized()
    assert VersionBase.instance().version_base is before


def test_it_works_inside_an_application_of_hydras():
    with initialize_config_dir(str(PACKAGED), version_base="1.2"):
        around, base = GlobalHydra.instance().hydra, VersionBase.instance().version_base
        expand("demo")
        assert GlobalHydra.instance().hydra is around
        assert VersionBase.instance().version_base is base
        assert compose("config").seed == 0


def test_a_failure_leaves_it_so_too(tmp_path):
    (tmp_path / "predictor").mkdir()
    (tmp_path / "predictor" / "deep.yaml").write_text("depth: [9")
    with pytest.raises(OverrideError):
        single(["predictor=deep"], sweeps_dir=tmp_path)
    assert not GlobalHydra.instance().is_initialized()
