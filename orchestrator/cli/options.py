"""Arguments and options that several verbs share."""

import os
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli import completing
from orchestrator.errors import RequestError
from orchestrator.trial.launchers import LAUNCHERS, check_launcher

MANY = 1_000_000_000
"""More of anything than one can want."""
NAME_MAX = 255
"""Bytes of a file's name, on every file system that we know."""


def nameable(path: Path | None) -> Path | None:
    """The path, if a file may be called so.

    Raises:
        RequestError: a part of it is too long.
    """
    for part in path.parts if path else ():
        if len(os.fsencode(part)) > NAME_MAX:
            raise RequestError(f"no file can be called '{part[:40]}...': a name has at most {NAME_MAX} bytes")
    return path


def known_launcher(name: str | None) -> str | None:
    """The launcher, if there is one of that name; said before anything else is looked at.

    Raises:
        RequestError: there is none.
    """
    return None if name is None else check_launcher(name)


Root = Annotated[
    Path, typer.Option("--root", envvar="IWM_ROOT", callback=nameable, help="Folder of sweeps, trials and databases.")
]
Sweeps = Annotated[
    Path | None, typer.Option("--sweeps", callback=nameable, help="Folder of your own sweeps and groups [./sweeps].")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
SweepName = Annotated[
    str,
    typer.Argument(
        metavar="SWEEP", autocompletion=completing.sweeps, help="Name of a sweep, or the path of its YAML file."
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="OVERRIDE",
        autocompletion=completing.settings,
        help="As in Hydra: predictor.depth=6,12 conditioning=none seed=range(3)",
    ),
]
Names = Annotated[
    list[str],
    typer.Argument(
        metavar="SWEEP|TRIAL", autocompletion=completing.either, help="Names or ids of sweeps, or ids of trials."
    ),
]
OneSweep = Annotated[
    str | None,
    typer.Argument(
        metavar="SWEEP", autocompletion=completing.submitted, help="A sweep's name or id; default: all sweeps."
    ),
]
Submitted = Annotated[
    str, typer.Argument(metavar="SWEEP", autocompletion=completing.submitted, help="A submitted sweep's name or id.")
]
AnyNames = Annotated[
    list[str] | None,
    typer.Argument(metavar="SWEEP|TRIAL", autocompletion=completing.either, help="Default: all trials."),
]
Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="SETTING=VALUE",
        autocompletion=completing.settings,
        help="Only matching trials, by setting or axis: --where predictor.depth=12,18",
    ),
]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", callback=nameable, help="File to write instead of standard output.")
]
Steps = Annotated[int | None, typer.Option("--steps", min=1, max=MANY, help="Steps per trial, instead of the sweep's.")]
OneTrial = Annotated[
    str,
    typer.Argument(metavar="TRIAL", autocompletion=completing.trials, help="A trial's id or a prefix of it."),
]
DEFAULT_ROOT = Path("runs")
Launcher = Annotated[
    str,
    typer.Option(
        "--launcher",
        envvar="IWM_LAUNCHER",
        callback=known_launcher,
        autocompletion=completing.launchers,
        help=f"Where trials run: {', '.join(LAUNCHERS)}.",
    ),
]
