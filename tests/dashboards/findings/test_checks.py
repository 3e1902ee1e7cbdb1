import pytest

from dashboards.cells import tabulate
from dashboards.findings.checks import Kind, checks
from orchestrator.trial.lifecycle import State, TrialStatus
from tests.fakes.results import GPU, attempt, finished, sweep

AXES = {"conditioning": ["none", "feature"]}


def said(*, blind=0.0231, unfinished=None, alarm=0.0) -> list[str]:
    def measure(levels, seed):
        mrr = blind if levels["conditioning"] == "none" else 0.4
        return {"mrr": mrr, "mrr_floor": 0.0239, "collapse_alarm": alarm * (mrr == 0.4)}

    found = list(checks(tabulate(sweep(AXES, measure=measure, unfinished=unfinished))))
    assert all(finding.kind is Kind.CHECK for finding in found)
    return [finding.text for finding in found]


def test_blind_at_its_floor_is_a_check_and_no_finding():
    (text,) = said()
    assert "MRR is 0.023 and its floor 0.024" in text


@pytest.mark.parametrize("blind", [0.1, 0.004])
def test_blind_away_from_its_floor_is_a_leak(blind):
    (text,) = said(blind=blind)
    assert f"MRR is {blind:.3f}, but its floor is 0.024" in text


def test_missing_cells_are_counted_with_their_states():
    text, *_ = said(unfinished={("feature", 0): TrialStatus(state=State.FAILED)})
    assert text.startswith("1 of 2 cells has no finished trial (1 failed)")


def test_a_collapse_is_named():
    assert any("1 trial collapsed" in text for text in said(alarm=1.0))


def test_a_drift_is_named():
    drifted = finished({"mrr": 0.4, "mrr_floor": 0.0239}, drifted=("loss", "mrr"))
    assert any("drifted" in text and "loss and mrr" in text for text in said(unfinished={("feature", 0): drifted}))


def test_different_hardware_is_named():
    elsewhere = finished({"mrr": 0.4, "mrr_floor": 0.0239}, attempts=[attempt(fingerprint=GPU)])
    assert any("different numerics (device)" in text for text in said(unfinished={("feature", 0): elsewhere}))
