"""A step that can be timed, whoever wrote it."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.speed.stages import Watched


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A step, what it costs per image, and what it is made of."""

    name: str
    step: Callable[[], object]
    flops: float  # per image
    watched: Watched
    draw: Callable[[], object] | None = None  # views and masks alone, where the step makes them
