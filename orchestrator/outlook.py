"""What is left of a sweep, from what its own trials have taken so far. Pure."""

from orchestrator.forecast import Forecast, cost_of, forecast, precedent, steps_of, task
from orchestrator.lifecycle import GOING_ON, State
from orchestrator.results import SweepResults


def outlook(results: SweepResults) -> Forecast:
    """The forecast of a sweep at today's number of running trials. Its axes tell its trials apart."""
    costs = {trial.id: cost_of(trial.overrides) for trial in results.trials}
    left = [trial for trial in results.trials if trial.state in GOING_ON]
    tasks = [
        task(costs[trial.id], trial.status, steps=trial.status.total_steps or steps_of(trial.config)) for trial in left
    ]
    earlier = (precedent(costs[trial.id], trial.status) for trial in results.trials)
    running = sum(trial.state is State.RUNNING for trial in left)
    return forecast(tasks, filter(None, earlier), places=running or None)
