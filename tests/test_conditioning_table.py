"""A conditioning is a class, a line of a table and a YAML file: all three, or none."""

import yaml

from iwm_core.models.conditioning import CONDITIONINGS
from orchestrator.planning.catalogue import PACKAGED


def test_every_conditioning_has_a_file_and_every_file_a_conditioning():
    files = {file.stem: yaml.safe_load(file.read_text())["kind"] for file in (PACKAGED / "conditioning").glob("*.yaml")}
    assert files == {kind: kind for kind in CONDITIONINGS}
