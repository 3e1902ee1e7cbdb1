import pytest

from iwm_core.config import TrialConfig, from_dict
from iwm_core.errors import ConfigError
from iwm_core.objectives.requirements import check, check_teacher


def test_the_defaults_are_what_they_must_be():
    check(TrialConfig())


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"objective": {"kind": "mae"}}, "unknown objective 'mae'; choose from iwm, ijepa, vicreg"),
        ({"objective": {"kind": "ijepa"}}, "objective.kind=ijepa needs conditioning.kind=none, since it has no action"),
        ({"masks": {"sequences": "blocks"}}, "objective.kind=iwm needs masks.sequences=union, since .*; it is blocks"),
        ({"masks": {"official_quirks": True}}, "objective.kind=iwm needs masks.official_quirks=false"),
        (
            {"objective": {"kind": "vicreg"}, "conditioning": {"kind": "none"}, "train": {"accumulate": 2}},
            "objective.kind=vicreg needs train.accumulate=1, since its statistics are .*; it is 2",
        ),
        (
            {"objective": {"kind": "vicreg"}, "conditioning": {"kind": "none"}, "train": {"batch_size": 1}},
            "objective.kind=vicreg needs train.batch_size of at least 2, since .*; it is 1",
        ),
    ],
)
def test_what_an_objective_cannot_work_with_is_named(raw, said):
    with pytest.raises(ConfigError, match=said):
        check(from_dict(TrialConfig, raw))


def test_a_teacher_s_weights_have_a_name_and_a_place():
    named = from_dict(TrialConfig, {"target": "frozen:vit_tiny_patch16_224", "evaluate": {"weights": "mine"}})
    check_teacher(named, weights_file="mine.pt")
    check_teacher(TrialConfig(), weights_file="")
    with pytest.raises(ConfigError, match=r"set resources\.weights_file"):
        check_teacher(named, weights_file="")
