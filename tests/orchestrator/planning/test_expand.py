import subprocess
import sys
from pathlib import Path

import pytest

from iwm_core.errors import ConfigError
from orchestrator.errors import OverrideError, UnknownSweepError
from orchestrator.planning.catalogue import PACKAGED
from orchestrator.planning.expand import expand, single, sweep_names
from orchestrator.trial.sweep import Resources


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


@pytest.mark.slow
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


@pytest.mark.parametrize(
    "override",
    [
        "predictor.depth=a",
        "photometric.strength=interval",
        "photometric.hue=rgb",
        "conditioning.kind=film",
    ],
)
def test_a_value_that_cannot_work_is_a_configuration_error(override):
    with pytest.raises(ConfigError) as caught:
        expand("demo", [override])
    setting, _, value = override.partition("=")
    assert (caught.value.setting, str(caught.value.value)) == (setting, value)
    assert "\n" not in str(caught.value)


def test_settings_that_cannot_work_together_name_the_trial():
    with pytest.raises(ConfigError) as caught:
        expand("demo", ["encoder.patch_size=5"])
    assert "conditioning=none photometric" in str(caught.value)


def test_one_trial_takes_no_axes():
    assert dict(single(["conditioning=none", "seed=2"]).overrides) == {"conditioning": "none", "seed": 2}
    with pytest.raises(OverrideError) as caught:
        single(["seed=1,2"])
    assert caught.value.setting == "seed"


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
    with pytest.raises(OverrideError) as caught:
        expand("mine", sweeps_dir=own)
    assert "nowhere" in str(caught.value)
    assert "\n" not in str(caught.value)
    (own / "predictor" / "deep.yaml").write_text("depth: [9")
    with pytest.raises(OverrideError) as caught:
        expand("mine", sweeps_dir=own)
    assert "deep.yaml" in str(caught.value)


def test_an_own_option_with_a_setting_that_there_is_not(own):
    (own / "predictor" / "deep.yaml").write_text("dpeth: 9")
    with pytest.raises(ConfigError) as caught:
        expand("mine", sweeps_dir=own)
    assert caught.value.setting == "predictor.dpeth"
    (own / "predictor" / "deep.yaml").write_text("depth: ???")
    with pytest.raises(OverrideError) as missing:
        expand("mine", sweeps_dir=own)
    assert "predictor.depth" in str(missing.value)


@pytest.mark.parametrize(
    ("text", "error", "setting"),
    [
        ("axes: {predictor.dpeth: [1]}", OverrideError, "predictor.dpeth"),
        ("axes: {optim.lr: [x]}", ConfigError, "optim.lr"),
        ("overrides: ['seed=1,2']", OverrideError, "seed"),
        ("overrides: [seed=1]\nseeds: 2", OverrideError, "seed"),
        ("axes: {seed: [1]}\nexclude: [{seed: 1}]", OverrideError, "exclude"),
        ("axes: {conditioning: [none]}\nexclude: [{conditioning: film}]", OverrideError, "conditioning"),
    ],
)
def test_a_mistake_in_a_sweep_names_the_sweep(own, text, error, setting):
    (own / "ablation" / "mine.yaml").write_text(text)
    with pytest.raises(error) as caught:
        expand("mine", sweeps_dir=own)
    assert (caught.value.setting, caught.value.path) == (setting, own / "ablation" / "mine.yaml")


def test_a_sweep_that_is_broken_is_listed_all_the_same(own):
    (own / "ablation" / "mine.yaml").write_text("axis: 3")
    assert "line 1: unknown key 'axis'" in sweep_names(own)["mine"]
    with pytest.raises(UnknownSweepError) as caught:
        expand("yours", sweeps_dir=own)
    assert {"demo", "mine"} <= set(caught.value.choices)


def test_a_login_node_needs_no_torch():
    code = "import sys; from orchestrator.planning.expand import expand; expand('demo'); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("False\n", "")
