import pytest

from iwm_core.config import TrialConfig, from_dict
from iwm_core.errors import ConfigError
from iwm_core.objectives.requirements import check


def test_the_defaults_are_what_they_must_be():
    check(TrialConfig())


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"objective": {"kind": "mae"}}, "unknown objective 'mae'; choose from iwm, ijepa"),
        ({"objective": {"kind": "ijepa"}}, "objective.kind=ijepa needs conditioning.kind=none, since it has no action"),
        ({"masks": {"sequences": "blocks"}}, "objective.kind=iwm needs masks.sequences=union, since .*; it is blocks"),
        ({"masks": {"official_quirks": True}}, "objective.kind=iwm needs masks.official_quirks=false"),
    ],
)
def test_what_an_objective_cannot_work_with_is_named(raw, said):
    with pytest.raises(ConfigError, match=said):
        check(from_dict(TrialConfig, raw))
