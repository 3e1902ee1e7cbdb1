"""A sweep as it was at one look. What a page makes of all its trials is made once, and again when one has changed."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

from dashboards import report
from dashboards.ablation import Table, tabulate
from dashboards.cost import Cost, cost_of, total
from dashboards.document import Document
from dashboards.pages.lanes import lanes
from orchestrator.planning.forecast import Forecast, outlook
from orchestrator.trial.lifecycle import GOING_ON, State
from orchestrator.trial.results import SweepResults
from orchestrator.trial.sweep import SweepRecord


@dataclass(frozen=True)
class Look:
    """What is kept here depends on the results alone, never on the time."""

    results: SweepResults

    @property
    def record(self) -> SweepRecord:
        """The sweep."""
        return self.results.record

    @cached_property
    def table(self) -> Table:
        """Its cells."""
        return tabulate(self.results)

    @cached_property
    def report(self) -> Document:
        """What it says."""
        return report.compose(self.results)

    @cached_property
    def states(self) -> Counter[State]:
        """How many trials are in which state."""
        return Counter(trial.state for trial in self.results.trials)

    @property
    def goes_on(self) -> bool:
        """Whether a trial is not at its end: whatever it waits for, a person too, may come at any time."""
        return any(self.states[state] for state in GOING_ON)

    @cached_property
    def forecast(self) -> Forecast:
        """What is left."""
        return outlook(self.results)

    @cached_property
    def cost(self) -> Cost:
        """What was used."""
        return total(cost_of(trial.status) for trial in self.results.trials)

    def waited_s(self, now: float) -> float:
        """Before and between attempts, over all trials, until now: in queues, for other trials, held."""
        before, since = self._waits
        return before + sum(max(0.0, now - t) for t in since)

    @cached_property
    def _waits(self) -> tuple[float, tuple[float, ...]]:
        """Seconds that are over, and since when others wait."""
        shown = lanes(self.results, now=0.0)
        since = tuple(lane.waits_since_t for lane in shown if lane.waits_since_t is not None)
        return sum(lane.waited_s for lane in shown), since
