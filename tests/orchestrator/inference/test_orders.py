import pytest

from orchestrator.inference.orders import Order, Pair, Place, Verdict, correlations


def place(name, paper, *ours):
    return Place(name, paper, dict(enumerate(ours)))


@pytest.mark.parametrize(
    ("ours", "verdict"),
    [
        ((0.3, 0.31, 0.32), Verdict.AGREES),
        ((0.1, 0.11, 0.12), Verdict.OPPOSED),
        ((0.3, 0.1, 0.2), Verdict.UNDECIDED),
        ((0.3,), Verdict.UNDECIDED),
    ],
)
def test_a_pair_is_decided_by_the_interval_of_its_differences(ours, verdict):
    assert Pair(place("a", 2.0, *ours), place("b", 1.0, 0.2, 0.205, 0.21)).verdict is verdict


def test_equal_values_of_the_paper_are_no_pair():
    order = Order("x", (place("a", 0.0, 0.5), place("b", 0.0, 0.4), place("c", 1.0, 0.45)))
    assert [(pair.better.name, pair.worse.name) for pair in order.pairs] == [("c", "a"), ("c", "b")]
    assert order.tau == 0.0
    assert order.count(Verdict.UNDECIDED) == 2


def test_tau_goes_by_the_means():
    order = Order("x", (place("a", 3.0, 0.3), place("b", 2.0, 0.2), place("c", 1.0, 0.25)))
    assert order.tau == pytest.approx(1 / 3)


def test_a_correlation_is_taken_within_each_seed():
    points = [({0: 1.0, 1: 1.0}, {0: 2.0, 1: 3.0}), ({0: 2.0, 1: 2.0}, {0: 4.0, 1: 2.0}), ({0: 3.0, 1: 3.0}, {0: 6.0})]
    known = correlations(points)
    assert known
    assert (known.mean, known.n) == (pytest.approx(1.0), 1)
    assert correlations([({0: 1.0}, {0: 1.0})] * 3) is None
