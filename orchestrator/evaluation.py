"""The evaluation of a known trial: a trial of its own, submitted as a sweep of one cell.

Its configuration is the trial's, with `pretrain` (whose weights) and what is to be measured otherwise. So the same
evaluation is the same trial, and asked for twice it is reused; and it waits until its parent has finished.
"""

from collections.abc import Sequence
from pathlib import Path

from orchestrator import service
from orchestrator.errors import RequestError
from orchestrator.expand import evaluated
from orchestrator.layout import Layout
from orchestrator.service import Submission
from orchestrator.sweep import Cell, Sweep


def submit_evaluation(
    layout: Layout, parent_id: str, overrides: Sequence[str] = (), *, launcher: str, sweeps_dir: Path | None = None
) -> Submission:
    """Starts the evaluation of this trial's final weights, or lets it wait for them. Returns at once.

    Raises:
        RequestError: overrides that an evaluation cannot have, a trial that trains nothing, or as `service.submit`.
        ConfigError: settings that cannot work.
        LaunchError: SLURM does not answer.
    """
    parent = service.known_cell(layout, parent_id)
    return service.submit(layout, evaluation_of(parent, overrides, sweeps_dir=sweeps_dir), launcher=launcher)


def evaluation_of(parent: Cell, overrides: Sequence[str], *, sweeps_dir: Path | None = None) -> Sweep:
    """The sweep of one evaluation. It runs on the parent's resources, unless the overrides name others.

    Raises:
        RequestError: see above.
        ConfigError: settings that cannot work.
    """
    trial = parent.trial
    if trial.config.pretrain:
        raise RequestError(f"trial {trial.id} is an evaluation itself, of trial {trial.config.pretrain}: evaluate that")
    cell = evaluated(parent, overrides, sweeps_dir=sweeps_dir)
    return Sweep(
        name=f"evaluate-{trial.id[:8]}",
        axes=tuple(cell.overrides),
        cells=(cell,),
        fixed=(f"pretrain={trial.id}",),
        description=f"evaluation of trial {trial.id}",
    )
