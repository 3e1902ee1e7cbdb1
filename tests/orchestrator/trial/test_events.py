"""Control events as plain JSON."""

import json

import pytest

from orchestrator.trial.events import KINDS, Claimed, from_dict, to_dict


@pytest.mark.parametrize("kind", KINDS.values())
def test_there_and_back(kind):
    event = kind(claim=3, t=1.5)
    assert from_dict(json.loads(json.dumps(to_dict(event)))) == event


def test_what_a_newer_version_wrote():
    assert from_dict({"event": "claimed", "claim": 1, "mood": "good"}) == Claimed(claim=1)
    assert from_dict({"event": "danced"}) is None
