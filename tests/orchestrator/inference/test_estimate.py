import math

import pytest

from orchestrator.inference.estimate import estimate, t_quantile


def test_interval_equals_the_textbook():
    known = estimate([1.0, 2.0, 3.0, 4.0, 5.0])
    assert known
    assert known.mean == 3.0
    assert known.n == 5
    assert known.half_width == pytest.approx(2.7764 * 1.58114 / math.sqrt(5), rel=1e-4)
    assert known.interval == pytest.approx((1.0368, 4.9632), abs=1e-4)


@pytest.mark.parametrize(("freedom", "value"), [(1, 12.706), (2, 4.303), (10, 2.228), (10_000, 1.960)])
def test_quantiles_of_the_printed_table(freedom, value):
    assert t_quantile(freedom) == pytest.approx(value, abs=5e-4)


def test_one_value_has_no_interval():
    known = estimate([0.4])
    assert known
    assert known.half_width is None
    assert known.interval is None
    assert not known.excludes_zero


def test_no_value_is_no_estimate():
    assert estimate([]) is None


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_has_no_interval(bad):
    known = estimate([1.0, bad])
    assert known
    assert not math.isfinite(known.mean)
    assert known.interval is None


def test_an_interval_may_exclude_zero():
    assert estimate([1.0, 1.1, 0.9]).excludes_zero  # pyright: ignore[reportOptionalMemberAccess]
    assert not estimate([1.0, -1.0, 0.5]).excludes_zero  # pyright: ignore[reportOptionalMemberAccess]
