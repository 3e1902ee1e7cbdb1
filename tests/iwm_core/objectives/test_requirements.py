import pytest

from iwm_core.config import TrialConfig, from_dict
from iwm_core.errors import ConfigError
from iwm_core.objectives.requirements import REQUIREMENTS, check, check_teacher


def test_the_defaults_are_what_they_must_be():
    check(TrialConfig())


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"objective": {"kind": "mae"}}, ("objective.kind", "mae", tuple(REQUIREMENTS))),
        ({"objective": {"kind": "ijepa"}}, ("conditioning.kind", "feature", ("none",))),
        ({"masks": {"sequences": "blocks"}}, ("masks.sequences", "blocks", ("union",))),
        ({"masks": {"official_quirks": True}}, ("masks.official_quirks", True, ("False",))),
        (
            {"objective": {"kind": "vicreg"}, "conditioning": {"kind": "none"}, "train": {"accumulate": 2}},
            ("train.accumulate", 2, ("1",)),
        ),
        (
            {"objective": {"kind": "vicreg"}, "conditioning": {"kind": "none"}, "train": {"batch_size": 1}},
            ("train.batch_size", 1, ()),
        ),
    ],
)
def test_what_an_objective_cannot_work_with_is_named(raw, said):
    with pytest.raises(ConfigError) as caught:
        check(from_dict(TrialConfig, raw))
    assert (caught.value.setting, caught.value.value, caught.value.choices) == said


def test_a_teacher_s_weights_have_a_name_and_a_place():
    named = from_dict(TrialConfig, {"target": "frozen:vit_tiny_patch16_224", "evaluate": {"weights": "mine"}})
    check_teacher(named, weights_file="mine.pt")
    check_teacher(TrialConfig(), weights_file="")
    with pytest.raises(ConfigError) as caught:
        check_teacher(named, weights_file="")
    assert caught.value.setting == "resources.weights_file"
