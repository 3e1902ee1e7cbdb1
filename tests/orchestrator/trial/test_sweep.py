"""Resources as a claim holds them."""

from iwm_core.config import RuntimeConfig
from orchestrator.trial.sweep import Resources


def test_a_claim_of_another_version_gives_what_is_known():
    assert Resources.of({"slots": 3, "loader_workers": 2, "mood": "good"}) == Resources(slots=3, loader_workers=2)


def test_the_core_gets_its_part_of_the_resources():
    resources = Resources.of({"slots": 3, "loader_workers": 2})
    assert isinstance(resources, RuntimeConfig)
    assert resources.loader_workers == 2
