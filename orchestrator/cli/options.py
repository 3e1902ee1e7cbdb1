"""Arguments and options that several verbs share."""

from pathlib import Path
from typing import Annotated

import typer

Root = Annotated[Path, typer.Option("--root", envvar="IWM_ROOT", help="Folder of sweeps, trials and databases.")]
Sweeps = Annotated[Path | None, typer.Option("--sweeps", help="Folder of your own sweeps and groups [./sweeps].")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
SweepName = Annotated[str, typer.Argument(metavar="SWEEP", help="Name of a sweep, or the path of its YAML file.")]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="OVERRIDE", help="As in Hydra: predictor.depth=6,12 conditioning=none seed=range(3)"),
]
Names = Annotated[list[str], typer.Argument(metavar="SWEEP|TRIAL", help="Names or ids of sweeps, or ids of trials.")]
OneSweep = Annotated[str | None, typer.Argument(metavar="SWEEP", help="A sweep's name or id; all where left out.")]
Submitted = Annotated[str, typer.Argument(metavar="SWEEP", help="A submitted sweep's name or id.")]
AnyNames = Annotated[list[str] | None, typer.Argument(metavar="SWEEP|TRIAL", help="All trials where left out.")]
Where = Annotated[
    list[str] | None,
    typer.Option("--where", metavar="SETTING=VALUE", help="Only such cells: --where predictor.depth=12,18"),
]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="File to write instead of standard output.")]
Steps = Annotated[int | None, typer.Option("--steps", min=1, help="Steps per trial, instead of the sweep's.")]
OneTrial = Annotated[str, typer.Argument(metavar="TRIAL", help="A trial's id, or its beginning.")]
DEFAULT_ROOT = Path("runs")
Launcher = Annotated[str, typer.Option("--launcher", envvar="IWM_LAUNCHER", help="Where trials run: local, slurm.")]
