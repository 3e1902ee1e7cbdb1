import pytest

from dashboards.ablation import tabulate
from dashboards.checks import checks, margin, probe_findings
from dashboards.verdict import Kind
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
    assert said() == [
        "Without conditioning MRR is 0.023, its floor is 0.024: a predictor blind to the action cannot tell the views "
        "apart (a check of the protocol, no finding)."
    ]


@pytest.mark.parametrize("blind", [0.1, 0.004])
def test_blind_away_from_its_floor_is_a_leak(blind):
    (text,) = said(blind=blind)
    assert f"MRR reaches {blind:.3f}, but its floor is 0.024" in text
    assert "no MRR here can be trusted" in text


def test_missing_cells_are_counted_with_their_states():
    text, *_ = said(unfinished={("feature", 0): TrialStatus(state=State.FAILED)})
    assert text == "1 of 2 cells has no finished trial (1 failed); the rest is judged."


def test_a_collapse_is_named():
    assert any("1 trial collapsed" in text and "means nothing" in text for text in said(alarm=1.0))


def test_a_drift_is_named():
    drifted = finished({"mrr": 0.4, "mrr_floor": 0.0239}, drifted=("loss", "mrr"))
    assert any(
        "drifted: repeated steps gave other values of loss and mrr" in text
        for text in said(unfinished={("feature", 0): drifted})
    )


def test_different_hardware_is_named():
    elsewhere = finished({"mrr": 0.4, "mrr_floor": 0.0239}, attempts=[attempt(fingerprint=GPU)])
    assert any("different numerics (device)" in text for text in said(unfinished={("feature", 0): elsewhere}))


def probed(values, **more):
    measure = lambda levels, seed: {"linear_probe_top1": levels["a"], "random_probe_top1": 0.22, **more}  # noqa: E731
    return list(probe_findings(tabulate(sweep({"a": values}, measure=measure))))


def test_not_above_the_random_encoder():
    (found,) = probed([0.18, 0.2], pixel_probe_top1=0.85)
    assert found.kind is Kind.UNSUPPORTED
    assert found.text == (
        "The linear probe does not beat the random encoder (0.19 against 0.22 on average over 2 cells; pixels alone "
        "give 0.85): nothing about semantics can be concluded at this budget."
    )


def test_a_hair_above_is_not_above():
    assert probed([0.24])[0].text.startswith("The linear probe does not beat")


def test_what_is_near_one_has_to_be_less_far_apart():
    assert margin(0.2, 0.2) == pytest.approx(0.0506, abs=1e-4)
    assert margin(0.92, 0.91) == pytest.approx(0.0352, abs=1e-4)
    assert margin(1.0, 1.0) == 0.0


def test_above_in_every_cell():
    (found,) = probed([0.5, 0.7])
    assert found.kind is Kind.SUPPORTED
    assert "in every cell (0.60 against 0.22" in found.text


def test_above_in_some_cells_only():
    (found,) = probed([0.2, 0.7])
    assert found.kind is Kind.UNSUPPORTED
    assert "in 1 of 2 cells only" in found.text


@pytest.mark.parametrize("metrics", [{"loss": 1.0}, {"linear_probe_top1": 0.9}])
def test_a_probe_without_its_reference_says_nothing(metrics):
    assert list(probe_findings(tabulate(sweep({"a": [1]}, measure=lambda levels, seed: metrics)))) == []
