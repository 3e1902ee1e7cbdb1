"""A protocol is a line of a table and a YAML file: both, or none."""

import pytest

from iwm_core.config import TrialConfig
from iwm_core.evaluation import protocols
from orchestrator.planning import limits
from orchestrator.planning.catalogue import protocol_names
from orchestrator.planning.expand import single


def test_every_protocol_has_a_file_and_every_file_a_protocol():
    assert sorted(protocol_names()) == sorted(protocols.PROTOCOLS)
    assert set(limits.NEED_PREDICTOR) <= set(protocols.PROTOCOLS)


@pytest.mark.parametrize("name", protocols.PROTOCOLS)
def test_its_file_names_it_and_changes_nothing_else(name):
    found = single([f"evaluate={name}", "pretrain='0123456789abcdef'"]).trial.config
    assert found.evaluate.protocol == name
    assert found.tune == TrialConfig().tune
