import pytest

from orchestrator.errors import OverrideError
from orchestrator.planning.expand import expand


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
        ("conditioning=glob(x*)", "gives no value; choose from adaln, "),
        ("photometric.strength=interval(0,1)", "'photometric.strength' has no end of values"),
        ("seed=shuffle(1,2)", "another sweep each time"),
        ("+predictor.depth=1", "every setting is declared, so write predictor.depth=value"),
        ("~predictor", "every setting is declared"),
        ("predictor@x=toy", "every setting is declared"),
        ("hydra.run.dir=x", "unknown setting 'hydra.run.dir'"),
        ("predictor.dpeth=3", r"did you mean 'predictor\.depth'"),
        ("conditioning=film", "unknown conditioning 'film'; choose from adaln, "),
        ("predictor.heads='${encoder.hed}'", "a setting has no value: Interpolation key 'encoder.hed' not found"),
        ("predictor.heads='${predictor.heads}'", "a setting has no value: Recursive interpolation"),
    ],
)
def test_an_override_that_means_nothing_is_answered_in_one_line(override, said):
    with pytest.raises(OverrideError, match=said) as caught:
        expand("demo", [override])
    assert "\n" not in str(caught.value)
