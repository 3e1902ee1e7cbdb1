import pytest

from dashboards.ablation import tabulate
from dashboards.probes import margin, probe_findings
from dashboards.verdict import Kind
from tests.fakes.results import sweep


def said(values, **more):
    measure = lambda levels, seed: {"linear_probe_top1": levels["a"], "random_probe_top1": 0.22, **more}  # noqa: E731
    return list(probe_findings(tabulate(sweep({"a": values}, measure=measure))))


def test_not_above_the_random_encoder():
    (found,) = said([0.18, 0.2], pixel_probe_top1=0.85)
    assert found.kind is Kind.UNSUPPORTED
    assert found.text == (
        "The linear probe does not beat the random encoder (0.19 against 0.22 on average over 2 cells; pixels alone "
        "give 0.85): nothing about semantics can be concluded at this budget."
    )


def test_a_hair_above_is_not_above():
    assert said([0.24])[0].text.startswith("The linear probe does not beat")


def test_what_is_near_one_has_to_be_less_far_apart():
    assert margin(0.2, 0.2) == pytest.approx(0.0506, abs=1e-4)
    assert margin(0.92, 0.91) == pytest.approx(0.0352, abs=1e-4)
    assert margin(1.0, 1.0) == 0.0


def test_above_in_every_cell():
    (found,) = said([0.5, 0.7])
    assert found.kind is Kind.SUPPORTED
    assert "in every cell (0.60 against 0.22" in found.text


def test_above_in_some_cells_only():
    (found,) = said([0.2, 0.7])
    assert found.kind is Kind.UNSUPPORTED
    assert "in 1 of 2 cells only" in found.text


@pytest.mark.parametrize("metrics", [{"loss": 1.0}, {"linear_probe_top1": 0.9}])
def test_a_probe_without_its_reference_says_nothing(metrics):
    assert list(probe_findings(tabulate(sweep({"a": [1]}, measure=lambda levels, seed: metrics)))) == []
