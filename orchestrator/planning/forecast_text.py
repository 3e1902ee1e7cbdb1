"""A forecast in words."""

import time
from collections.abc import Callable

from orchestrator.planning.forecast import Forecast, Span

SHOWN = 3
"""Differences that are named."""


def lines(forecast: Forecast, *, now: float) -> list[str]:
    """What it will take, from what that was taken, and what is not known."""
    if not forecast.trials:
        return []
    if forecast.unknown == forecast.trials:
        return ["forecast: not known; no earlier trial of this root is near enough to these"]
    hours = f"{hours_of(forecast.gpu)} GPU-hours" if forecast.gpu.most else f"{hours_of(forecast.work)} slot-hours"
    when = ""
    if forecast.end:
        at = time.strftime("%a %H:%M", time.localtime(now + forecast.end.likely))
        when = f"; {forecast.places} at a time: done in {time_of(forecast.end)}, about {at}"
    return [
        f"forecast: {hours}{when}",
        f"  from {_count(forecast.comparable_trials, 'earlier trial')} of this root{_on(forecast)}{_guesses(forecast)}",
        *_unknown(forecast),
        f"  {_not_in_it(forecast)}",
    ]


def _on(forecast: Forecast) -> str:
    on = f" on {', '.join(forecast.devices)}" if forecast.devices else ""
    return on + ("; no two of a kind differ, so there is no range" if forecast.work.least == forecast.work.most else "")


def _guesses(forecast: Forecast) -> str:
    if not forecast.guessed:
        return ""
    named = ", ".join(forecast.differences[:SHOWN]) + (", ..." if len(forecast.differences) > SHOWN else "")
    return f"; {forecast.guessed} of {forecast.trials} trials are guessed by others: {named}"


def _unknown(forecast: Forecast) -> list[str]:
    if not forecast.unknown:
        return []
    return [f"  without {_count(forecast.unknown, 'trial')} that no earlier one is near enough to: not known"]


def _not_in_it(forecast: Forecast) -> str:
    said = "starting workers and waiting for other trials come on top"
    if forecast.restless:
        said = f"what comes after the last step, {said}"
    return said if forecast.end or forecast.unknown else f"{said}; when it ends depends on the queue"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def hours_of(span: Span) -> str:
    """`1.5 (1.2 to 1.9)`."""
    return _range(span, lambda seconds: f"{seconds / 3600:.2g}" if seconds < 36_000 else f"{seconds / 3600:,.0f}")


def time_of(span: Span) -> str:
    """`12 min (10 min to 15 min)`."""
    return _range(span, duration)


def _range(span: Span, shown: Callable[[float], str]) -> str:
    likely, least, most = shown(span.likely), shown(span.least), shown(span.most)
    return likely if least == most else f"{likely} ({least} to {most})"


def duration(seconds: float) -> str:
    """`45 s`, `3 min`, `2 h 05`, `3 d 4 h`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min" + (f" {whole % 60:02} s" if whole < 600 and whole % 60 else "")
    if whole < 172800:
        return f"{whole // 3600} h {whole % 3600 // 60:02}"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"
