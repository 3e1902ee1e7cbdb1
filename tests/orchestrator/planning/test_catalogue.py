from pathlib import Path

import pytest

from iwm_core.errors import ConfigError
from orchestrator.errors import OverrideError, UnknownSweepError
from orchestrator.planning.catalogue import PACKAGED, Catalogue


@pytest.fixture
def own(tmp_path: Path) -> Path:
    (tmp_path / "ablation").mkdir()
    (tmp_path / "predictor").mkdir()
    (tmp_path / "ablation" / "demo.yaml").write_text("description: mine")
    (tmp_path / "flat.yaml").write_text("")
    (tmp_path / "predictor" / "mine.yaml").write_text("depth: 1")
    return tmp_path


def test_the_users_files_win_and_join(own):
    catalogue = Catalogue.of(own)
    assert catalogue.find("demo") == own / "ablation" / "demo.yaml"
    assert catalogue.find("flat") == own / "flat.yaml"
    assert catalogue.find("paper_spectrum") == PACKAGED / "ablation" / "paper_spectrum.yaml"
    assert {"mine", "toy"} <= set(catalogue.groups["predictor"])
    assert not {"ablation", "hydra"} & set(catalogue.groups)


def test_a_folder_called_sweeps_is_found_where_one_stands(own, monkeypatch):
    own.rename(own.parent / "sweeps")
    monkeypatch.chdir(own.parent)
    assert Catalogue.of(None).folders == ((own.parent / "sweeps").resolve(), PACKAGED)
    monkeypatch.chdir(PACKAGED.parent)
    assert Catalogue.of(None).folders == (PACKAGED,)


def test_a_path_is_a_sweep_too(own):
    assert Catalogue.of(None).find(str(own / "flat.yaml")) == own / "flat.yaml"
    with pytest.raises(UnknownSweepError, match=r"there is no sweep file 'nope\.yaml'"):
        Catalogue.of(None).find("nope.yaml")


def test_an_unknown_sweep_is_answered_with_those_there_are(own):
    with pytest.raises(
        UnknownSweepError, match=r"unknown sweep 'dmeo' \(did you mean 'demo'\?\); choose from demo, flat,"
    ):
        Catalogue.of(own).find("dmeo")
    with pytest.raises(UnknownSweepError, match="there is no folder"):
        Catalogue.of(own / "nowhere")


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        (
            "predictor.dpeth",
            1,
            r"'predictor.dpeth' \(did you mean 'predictor.depth'\?\); 'predictor' has width, depth,",
        ),
        ("steps", 1, "unknown setting 'steps'; choose from conditioning, data"),
        ("conditioning", "film", "unknown conditioning 'film'; choose from adaln, "),
        ("predictor", None, "unknown predictor 'null'"),
        ("train", {"steps": 1}, "'train' takes single values"),
        ("train.steps", [1], "'train.steps' takes single values"),
    ],
)
def test_what_means_nothing_is_answered_with_what_does(key, value, said):
    with pytest.raises(OverrideError, match=said):
        Catalogue.of(None).values(key, [value])


def test_values_stay_as_they_were_written():
    catalogue = Catalogue.of(None)
    assert repr(catalogue.values("photometric.strength", [1, 0.5])) == "(1, 0.5)"
    assert catalogue.values("predictor.heads", ["${encoder.heads}"]) == ("${encoder.heads}",)
    with pytest.raises(ConfigError, match=r"'train\.steps' must be a whole number, not 'x'"):
        catalogue.values("train.steps", ["x"])


@pytest.mark.parametrize("key", ["encoder", "data.dataset", "seed"])
def test_a_value_that_is_too_long_is_counted_not_repeated(key):
    with pytest.raises(OverrideError, match=f"^'{key}' takes at most 4,000 characters, not the 5,000 of this value$"):
        Catalogue.of(None).values(key, ["x" * 5_000])
