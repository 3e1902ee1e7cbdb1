import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.version import VersionBase
from omegaconf import OmegaConf

from iwm_core.config import TrialConfig, flatten, from_dict, to_dict
from iwm_core.errors import ConfigError
from orchestrator.catalogue import PACKAGED, SETTINGS, Catalogue
from orchestrator.composition import Builder
from orchestrator.errors import OverrideError, UnknownSweepError
from orchestrator.expand import Composer, composed, expand, read_overrides, searching, single, sweep_names
from orchestrator.sweep import Resources, Scalar
from orchestrator.trial import trial_id

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


@pytest.mark.parametrize("seed", range(8))
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


# Sweeps


def test_the_demo_is_twelve_trials():
    sweep = expand("demo")
    assert sweep.axes == ("conditioning", "photometric.strength", "predictor.depth")
    assert len(sweep.cells) == len({cell.trial.id for cell in sweep.cells}) == 12
    assert dict(sweep.cells[1].overrides) == {
        "conditioning": "none",
        "photometric.strength": 0.25,
        "predictor.depth": 4,
    }
    photometric = sweep.cells[-1].trial.config.photometric
    assert (photometric.hue, photometric.factors, photometric.jitter_p) == ("yiq", "log", 1.0)
    assert (photometric.brightness_max, photometric.saturation_max, photometric.hue_max) == (0.8, 0.8, 0.2)
    assert (photometric.grayscale_p, photometric.blur_p, photometric.solarize_p) == (0.2, 0.2, 0.2)


def test_every_packaged_sweep_expands_and_describes_itself():
    names = sweep_names(PACKAGED)
    assert set(names) >= {"demo", "paper_spectrum", "conditioning_depth"}
    for name, description in names.items():
        sweep = expand(name, sweeps_dir=PACKAGED)
        assert sweep.cells
        assert sweep.description == description != ""


def test_conditional_zipped_and_excluded_axes():
    sweep = expand("conditioning_depth")
    kinds = [cell.overrides["conditioning"] for cell in sweep.cells]
    assert [kinds.count(kind) for kind in ("none", "sequence", "feature")] == [1 * 2 * 2, 3 * 2 * 2, 3 * 2 * 3 * 2]
    assert all(
        ("conditioning.layers" in c.overrides) == (c.overrides["conditioning"] == "feature") for c in sweep.cells
    )
    assert {(c.overrides["train.batch_size"], c.overrides["train.steps"]) for c in sweep.cells} == {
        (64, 2000),
        (128, 1000),
    }


def test_the_example_of_the_documentation_is_27_trials(tmp_path):
    text = (PACKAGED.parent / "docs" / "sweeps.md").read_text().split("```yaml\n")[1].split("```")[0]
    (tmp_path / "example.yaml").write_text(text)
    cells = expand(str(tmp_path / "example.yaml")).cells
    trained = [cell for cell in cells if not cell.trial.config.pretrain]
    assert (len(trained), len(cells)) == (27, 27 + 2 * 9 + 3 * 18)


def test_typed_values_replace_pin_and_add_axes():
    sweep = expand("demo", ["predictor.depth=6,12,18", "conditioning=none", "seed=range(3)", "train.steps=5"])
    assert sweep.axes == ("conditioning", "photometric.strength", "predictor.depth", "seed")
    assert len(sweep.cells) == 1 * 2 * 3 * 3
    assert sweep.fixed[-1] == "train.steps=5"
    assert not any(text.startswith("train.steps=2000") for text in sweep.fixed)
    assert {cell.trial.config.train.steps for cell in sweep.cells} == {5}
    assert [cell.overrides["seed"] for cell in sweep.cells[:4]] == [0, 1, 2, 0]


def test_what_is_typed_over_a_fixed_override_can_be_an_axis():
    sweep = expand("demo", ["train.steps=5,6"])
    assert sweep.axes[-1] == "train.steps"
    assert not any(text.startswith("train.steps") for text in sweep.fixed)


def test_a_cell_says_what_a_setting_came_to():
    cell = single(["predictor.heads='${encoder.heads}'", "photometric.strength=1", "seed=2.0", "encoder=toy"])
    assert repr(dict(cell.overrides)) == (
        "{'predictor.heads': 2, 'photometric.strength': 1.0, 'seed': 2, 'encoder': 'toy'}"
    )


def test_a_spelling_is_not_another_sweep():
    assert expand("demo", ["photometric.strength=1"]).id == expand("demo", ["photometric.strength=1.0"]).id
    assert len(expand("demo", ["predictor.depth=2,2.0"]).cells) == 6


def test_resources_belong_to_the_cell_and_not_to_the_trial():
    plain, moved = single(), single(["resources.slots=7", "resources=gpu"])
    assert moved.resources == Resources(device="cuda", loader_workers=8, checkpoint_every_steps=500, slots=7, gpus=1)
    assert moved.trial.id == plain.trial.id
    assert len(expand("demo", ["resources.slots=1,2"]).cells) == 12


def test_glob_and_choice():
    assert {c.overrides["conditioning"] for c in expand("demo", ["conditioning=glob([n*,f*])"]).cells} == {
        "none",
        "feature",
    }
    assert len(expand("demo", ["data.dataset=choice('a, b',c)"]).cells) == 24


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("predictor.depth", r"cannot read the override 'predictor\.depth': write key=value"),
        ("predictor.depth=", r"the override 'predictor\.depth=' has no value"),
        ("data.dataset=???", "has no value"),
        ("=3", "cannot read the override '=3'"),
        ("a b=c", "cannot read the override 'a b=c'"),
        ("seed=int(x)", "cannot read the override"),
        ("seed=range(0,3,0)", "a step of 0 leads nowhere"),
        ("optim.lr=range(0.0,3.0,0.0)", "a step of 0 leads nowhere"),
        ("seed=range(3,0)", r"'seed=range\(3,0\)' gives no value"),
        ("seed=range(1000000000)", "more than 100,000 values"),
        ("seed=range(9000)", "more than 100,000 trials"),
        ("conditioning=glob(x*)", "gives no value; choose from adaln, feature, none, sequence"),
        ("photometric.strength=interval(0,1)", "'photometric.strength' has no end of values"),
        ("seed=shuffle(1,2)", "another sweep each time"),
        ("+predictor.depth=1", "every setting is declared, so write predictor.depth=value"),
        ("~predictor", "every setting is declared"),
        ("predictor@x=toy", "every setting is declared"),
        ("hydra.run.dir=x", "unknown setting 'hydra.run.dir'"),
        ("predictor.dpeth=3", r"did you mean 'predictor\.depth'"),
        ("conditioning=film", "unknown conditioning 'film'; choose from adaln, feature, none, sequence"),
        ("predictor.heads='${encoder.hed}'", "a setting has no value: Interpolation key 'encoder.hed' not found"),
        ("predictor.heads='${predictor.heads}'", "a setting has no value: Recursive interpolation"),
    ],
)
def test_an_override_that_means_nothing_is_answered_in_one_line(override, said):
    with pytest.raises(OverrideError, match=said) as caught:
        expand("demo", [override])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("predictor.depth=a", r"'predictor\.depth' must be a whole number, not 'a'"),
        ("photometric.strength=interval", "must be a finite number, not 'interval'"),
        ("photometric.hue=rgb", r"unknown photometric\.hue 'rgb'; choose from hsv, yiq"),
        ("conditioning.kind=film", "unknown conditioning 'film'; .*; in the trial conditioning=none photometric"),
        ("encoder.patch_size=5", "is not a multiple of"),
    ],
)
def test_a_value_that_cannot_work_is_a_configuration_error(override, said):
    with pytest.raises(ConfigError, match=said) as caught:
        expand("demo", [override])
    assert "\n" not in str(caught.value)


def test_one_trial_takes_no_axes():
    assert dict(single(["conditioning=none", "seed=2"]).overrides) == {"conditioning": "none", "seed": 2}
    with pytest.raises(OverrideError, match="one trial: give one value instead of 'seed=1,2'"):
        single(["seed=1,2"])


# A user's own folder


@pytest.fixture
def own(tmp_path: Path) -> Path:
    folder = tmp_path / "it's mine"
    for name, text in {
        "ablation/mine.yaml": "axes: {predictor: [deep, toy]}\nseeds: 2",
        "ablation/demo.yaml": "description: not the packaged one",
        "predictor/deep.yaml": "defaults: [toy, _self_]\ndepth: 9",
        "optim/toy.yaml": "lr: 0.5",
        "recipe/fast.yaml": "# @package _global_\ntrain:\n  steps: 3\n",
        "config.yaml": "not: ours",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_own_options_join_and_win(own):
    sweep = expand("mine", sweeps_dir=own)
    assert [cell.trial.config.predictor.depth for cell in sweep.cells] == [9, 9, 2, 2]
    assert {cell.trial.config.optim.lr for cell in sweep.cells} == {0.5}
    assert sweep_names(own)["demo"] == expand("demo", sweeps_dir=own).description == "not the packaged one"
    assert single(["recipe=fast"], sweeps_dir=own).trial.config.train.steps == 3


def test_an_own_file_that_does_not_compose_is_one_line(own):
    (own / "predictor" / "deep.yaml").write_text("defaults: [nowhere]\ndepth: 9")
    with pytest.raises(OverrideError, match=r"the settings cannot be composed: .*nowhere") as caught:
        expand("mine", sweeps_dir=own)
    assert "\n" not in str(caught.value)
    (own / "predictor" / "deep.yaml").write_text("depth: [9")
    with pytest.raises(OverrideError, match=r"the settings cannot be composed: .*deep\.yaml"):
        expand("mine", sweeps_dir=own)


def test_an_own_option_with_a_setting_that_there_is_not(own):
    (own / "predictor" / "deep.yaml").write_text("dpeth: 9")
    with pytest.raises(ConfigError, match=r"unknown setting 'predictor\.dpeth'; choose from width"):
        expand("mine", sweeps_dir=own)
    (own / "predictor" / "deep.yaml").write_text("depth: ???")
    with pytest.raises(
        OverrideError, match=r"a setting has no value: Missing mandatory value: depth; full_key: predictor\.depth"
    ):
        expand("mine", sweeps_dir=own)


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("axes: {predictor.dpeth: [1]}", OverrideError, "unknown setting 'predictor.dpeth'"),
        ("axes: {optim.lr: [x]}", ConfigError, "'optim.lr' must be a finite number"),
        ("overrides: ['seed=1,2']", OverrideError, "'overrides' hold for every trial, 'axes' vary"),
        ("overrides: [seed=1]\nseeds: 2", OverrideError, "'seed' is both an axis and one of the overrides"),
        ("axes: {seed: [1]}\nexclude: [{seed: 1}]", OverrideError, "has no trial left"),
        ("axes: {conditioning: [none]}\nexclude: [{conditioning: film}]", OverrideError, "unknown conditioning 'film'"),
    ],
)
def test_a_mistake_in_a_sweep_names_the_sweep(own, text, error, said):
    (own / "ablation" / "mine.yaml").write_text(text)
    with pytest.raises(error, match=f"mine.*{said}|{said}.*mine|'mine' {said}"):
        expand("mine", sweeps_dir=own)


def test_a_sweep_that_is_broken_is_listed_all_the_same(own):
    (own / "ablation" / "mine.yaml").write_text("axis: 3")
    assert "line 1: unknown key 'axis'" in sweep_names(own)["mine"]
    with pytest.raises(UnknownSweepError, match="choose from demo, mine"):
        expand("yours", sweeps_dir=own)


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


def test_a_failure_leaves_it_so_too(own):
    (own / "predictor" / "deep.yaml").write_text("depth: [9")
    with pytest.raises(OverrideError):
        expand("mine", sweeps_dir=own)
    assert not GlobalHydra.instance().is_initialized()


def test_a_login_node_needs_no_torch():
    code = "import sys; from orchestrator.expand import expand; expand('demo'); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("False\n", "")
