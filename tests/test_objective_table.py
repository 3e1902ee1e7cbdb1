"""An objective is three functions, a line of two tables and a YAML file: all of them, or none."""

import dataclasses

import pytest
import yaml

from iwm_core.config import ObjectiveConfig
from iwm_core.objectives.requirements import REQUIREMENTS
from iwm_core.objectives.table import OBJECTIVES
from orchestrator.planning.catalogue import PACKAGED

FILES = {file.stem: yaml.safe_load(file.read_text()) for file in (PACKAGED / "objective").glob("*.yaml")}


def test_every_objective_has_a_file_and_every_file_an_objective():
    assert set(OBJECTIVES) <= set(FILES)
    assert all(FILES[kind]["kind"] == kind for kind in OBJECTIVES)
    assert {settings["kind"] for settings in FILES.values()} == set(OBJECTIVES)


def test_every_objective_says_what_it_needs():
    assert set(REQUIREMENTS) == set(OBJECTIVES)


@pytest.mark.parametrize("name", FILES)
def test_a_file_names_every_setting(name):
    assert set(FILES[name]) == {spec.name for spec in dataclasses.fields(ObjectiveConfig)}
