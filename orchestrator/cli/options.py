"""Arguments and options that several verbs share."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from orchestrator.cli import completing
from orchestrator.errors import RequestError
from orchestrator.trial.launchers import LAUNCHERS, check_launcher

NAME_MAX = 255
"""Bytes of a file name: the limit of common Linux file systems."""
DEFAULT_ROOT = Path("runs")


def nameable(path: Path | None) -> Path | None:
    """Return the path if each of its parts is short enough for a file name.

    Raises:
        RequestError: a part has more than `NAME_MAX` bytes.
    """
    for part in path.parts if path else ():
        if len(os.fsencode(part)) > NAME_MAX:
            raise RequestError(f"the file name '{part[:40]}...' is too long: the maximum is {NAME_MAX} bytes")
    return path


def argument(metavar: str, offered: Callable[..., list[str]], help: str) -> Any:
    """A positional argument; `offered` completes it at Tab."""
    return typer.Argument(metavar=metavar, autocompletion=offered, help=help)


def output_option(help: str) -> Any:
    """The option --output."""
    return typer.Option("--output", "-o", callback=nameable, help=help)


Root = Annotated[
    Path, typer.Option("--root", envvar="IWM_ROOT", callback=nameable, help="Folder of sweeps, trials and databases.")
]
Sweeps = Annotated[
    Path | None, typer.Option("--sweeps", callback=nameable, help="Folder of your own sweeps and groups [./sweeps].")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
SweepName = Annotated[str, argument("SWEEP", completing.sweeps, "Name of a sweep, or the path of its YAML file.")]
Overrides = Annotated[
    list[str] | None,
    argument("OVERRIDE", completing.settings, "As in Hydra: predictor.depth=6,12 conditioning=none seed=range(3)"),
]
Names = Annotated[list[str], argument("SWEEP|TRIAL", completing.either, "Names or ids of sweeps, or ids of trials.")]
AnyNames = Annotated[list[str] | None, argument("SWEEP|TRIAL", completing.either, "Default: all trials.")]
OneSweep = Annotated[str | None, argument("SWEEP", completing.submitted, "A sweep's name or id; default: all sweeps.")]
Submitted = Annotated[str, argument("SWEEP", completing.submitted, "A submitted sweep's name or id.")]
OneTrial = Annotated[str, argument("TRIAL", completing.trials, "A trial's id or a prefix of it.")]
Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="SETTING=VALUE",
        autocompletion=completing.settings,
        help="Only matching trials, by setting or axis: --where predictor.depth=12,18",
    ),
]
Launcher = Annotated[
    str,
    typer.Option(
        "--launcher",
        envvar="IWM_LAUNCHER",
        callback=check_launcher,
        autocompletion=lambda: list(LAUNCHERS),
        help=f"Where trials run: {', '.join(LAUNCHERS)}.",
    ),
]
