import pytest

from orchestrator.planning.forecast import Span
from orchestrator.planning.forecast_text import duration, hours_of, time_of


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.2, "0 s"), (59, "59 s"), (65, "1 min 05 s"), (3000, "50 min"), (7500, "2 h 05"), (273_600, "3 d 4 h")],
)
def test_a_duration_is_short(seconds, shown):
    assert duration(seconds) == shown


def test_a_range_is_named_where_there_is_one():
    assert hours_of(Span(least=3600, likely=5400, most=7200)) == "1.5 (1 to 2)"
    assert hours_of(Span(least=7.2e6, likely=7.2e6, most=7.2e6)) == "2,000"
    assert time_of(Span(least=60, likely=60, most=61)) == "1 min (1 min to 1 min 01 s)"
