"""Our loss beside the official one that was recorded: no checkout and no network needed."""

import json

import pytest

RECORDED = {
    "fixed counts": (49, [4, 27]),
    "official quirks, step 0": (84, [4, 30]),
    "official quirks, step 1": (55, [4, 36]),
}


@pytest.fixture(scope="module")
def parity(script):
    return script("ijepa_parity")


@pytest.fixture(scope="module")
def golden(parity):
    return json.loads(parity.GOLDEN.read_text())


def test_the_record_names_what_it_ran_against(golden, parity):
    assert golden["repository"] == "https://github.com/facebookresearch/ijepa"
    assert len(golden["commit"]) == 40
    assert "benchmarks/ijepa_parity.py" in golden["command"]
    assert {row["case"] for row in golden["losses"]} == set(parity.CASES)


@pytest.mark.parametrize("name", RECORDED)
def test_our_loss_is_the_official_one(golden, parity, name):
    recorded = next(row for row in golden["losses"] if row["case"] == name)
    _, drawn, loss = parity.ours(parity.CASES[name])
    shapes = drawn.masks.context_BK.shape[1], list(drawn.masks.target_BSM.shape[1:])
    assert shapes == RECORDED[name] == (recorded["context"], recorded["targets"])
    assert loss.item() == pytest.approx(recorded["official"], abs=1e-5)
