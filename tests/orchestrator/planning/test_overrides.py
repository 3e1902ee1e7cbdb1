import pytest

from orchestrator.errors import OverrideError
from orchestrator.planning.expand import expand


def test_glob_and_choice():
    assert {c.overrides["conditioning"] for c in expand("demo", ["conditioning=glob([n*,f*])"]).cells} == {
        "none",
        "feature",
    }
    assert len(expand("demo", ["data.dataset=choice('a, b',c)"]).cells) == 24


@pytest.mark.parametrize("override", ["predictor.depth", "=3", "a b=c", "seed=int(x)"])
def test_what_is_not_in_the_grammar_is_repeated_in_one_line(override):
    with pytest.raises(OverrideError) as caught:
        expand("demo", [override])
    assert caught.value.value == override
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("override", "setting"),
    [
        ("predictor.depth=", "predictor.depth"),
        ("data.dataset=???", "data.dataset"),
        ("seed=range(0,3,0)", "seed"),
        ("optim.lr=range(0.0,3.0,0.0)", "optim.lr"),
        ("seed=range(3,0)", "seed"),
        ("seed=range(1000000000)", "seed"),
        ("seed=range(9000)", "axes"),
        ("conditioning=glob(x*)", "conditioning"),
        ("photometric.strength=interval(0,1)", "photometric.strength"),
        ("seed=shuffle(1,2)", "seed"),
        ("+predictor.depth=1", "predictor.depth"),
        ("~predictor", "predictor"),
        ("predictor@x=toy", "predictor"),
        ("hydra.run.dir=x", "hydra.run.dir"),
        ("predictor.dpeth=3", "predictor.dpeth"),
        ("conditioning=film", "conditioning"),
    ],
)
def test_an_override_that_means_nothing_names_its_setting(override, setting):
    with pytest.raises(OverrideError) as caught:
        expand("demo", [override])
    assert caught.value.setting == setting
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["encoder.hed", "predictor.heads"])
def test_an_interpolation_without_a_value_is_one_line(name):
    with pytest.raises(OverrideError) as caught:
        expand("demo", [f"predictor.heads='${{{name}}}'"])
    assert "\n" not in str(caught.value)
