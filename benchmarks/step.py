"""One training step: images per second, FLOPs, share of the peak, where its time goes; ours beside I-JEPA's own.

    python benchmarks/step.py [--json] [--official CHECKOUT] [--device cpu|cuda] [--objectives iwm,ijepa] [--rounds 7]

`--official` is a checkout of facebookresearch/ijepa (CC-BY-NC: it is imported from there, nothing of it is kept here);
its step is run in turns with ours, at equal encoder, predictor, batch, image size and counts. On a CPU everything runs
on one thread of one core.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.speed import cases, clock, machine, stages
from benchmarks.speed.cases import Case
from benchmarks.speed.contender import Contender
from benchmarks.speed.official import official
from benchmarks.speed.ours import ours
from iwm_core.objectives.table import OBJECTIVES
from iwm_core.training import flops

JEPAS = tuple(name for name in ("iwm", "ijepa") if name in OBJECTIVES)
STEPS = {"cpu": 1, "cuda": 10}
"""Steps per turn."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One contender on one case; the ratios are to the official step and absent where that was not run."""

    case: str
    contender: str
    images_per_s: float
    gflops_per_image: float
    gflops_per_s: float
    mfu: float | None  # share of the device's peak
    draw_share: float | None  # views and masks alone, of the step
    host_waits_per_step: float | None
    images_ratio: float | None
    flops_ratio: float | None
    stages: dict[str, float]  # shares of the step; none where compilation leaves no seams between them


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures every case of the device and prints tables, or one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--official", type=Path, help="a checkout of facebookresearch/ijepa")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--objectives", default=",".join(JEPAS), help=f"of {', '.join(OBJECTIVES)}")
    parser.add_argument("--cases", default="", help="numbers of the cases, from 0; empty: all of the device")
    parser.add_argument("--rounds", type=int, default=7, help="turns of every contender")
    options = parser.parse_args(arguments)
    objectives = [name for name in options.objectives.split(",") if name]
    if unknown := [name for name in objectives if name not in OBJECTIVES]:
        parser.error(f"unknown objective '{unknown[0]}'; choose from {', '.join(OBJECTIVES)}")
    if options.device == "cpu":
        machine.one_core()
    device = torch.device(options.device)
    known = cases.CUDA if device.type == "cuda" else cases.CPU
    chosen = [known[int(number)] for number in options.cases.split(",")] if options.cases else known
    rows = [
        row
        for case in chosen
        for row in measure(case, objectives=objectives, checkout=options.official, device=device, rounds=options.rounds)
    ]
    print(json.dumps(document(rows, device=device), indent=2) if options.json else table(rows, device=device))


def measure(
    case: Case, *, objectives: Sequence[str], checkout: Path | None, device: torch.device, rounds: int
) -> list[Row]:
    """The rows of one case, the official step first where there is a checkout."""
    contenders = [official(case, checkout=checkout, device=device)] if checkout and case.official else []
    contenders += [ours(case, objective=name, device=device) for name in objectives]
    steps = {contender.name: contender.step for contender in contenders}
    spent = clock.in_turns(steps, device=device, rounds=rounds, times=STEPS[device.type])
    reference = contenders[0] if contenders[0].name == "official" else None
    return [row(contender, case=case, spent=spent, reference=reference, device=device) for contender in contenders]


def row(
    contender: Contender,
    *,
    case: Case,
    spent: dict[str, list[float]],
    reference: Contender | None,
    device: torch.device,
) -> Row:
    """What was measured of one contender, with what is told by running it a little longer."""
    step_s = median(spent[contender.name])
    peak = flops.peak(machine.device_name(device), train=case.train)
    draw_s = clock.seconds(contender.draw, device=device, times=3) if contender.draw else None
    images_ratio = clock.ratio(spent[reference.name], spent[contender.name]) if reference else None
    return Row(
        case=case.name,
        contender=contender.name,
        images_per_s=round(case.batch / step_s, 2),
        gflops_per_image=round(contender.flops / 1e9, 4),
        gflops_per_s=round(contender.flops * case.batch / step_s / 1e9, 4),
        mfu=peak and round(contender.flops * case.batch / step_s / peak, 3),
        draw_share=draw_s and round(draw_s / step_s, 4),
        host_waits_per_step=clock.host_waits(contender.step, device=device),
        images_ratio=images_ratio and round(images_ratio, 3),
        flops_ratio=images_ratio and reference and round(images_ratio * contender.flops / reference.flops, 3),
        stages={} if case.train.compile else stages.shares(contender.step, of=contender.watched, device=device),
    )


def document(rows: Sequence[Row], *, device: torch.device) -> dict[str, object]:
    """What `--json` prints."""
    return {"rows": [asdict(row) for row in rows], **machine.conditions(device)}


def table(rows: Sequence[Row], *, device: torch.device) -> str:
    """Markdown: speeds, then shares."""
    lines = [
        "| case | step | images/s | GFLOP/image | GFLOP/s | MFU | official: images/s | FLOP/s | host waits |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.case} | {row.contender} | {row.images_per_s:,.4g} | {row.gflops_per_image:.1f} "
        f"| {row.gflops_per_s:,.0f} | {_percent(row.mfu)} | {_times(row.images_ratio)} | {_times(row.flops_ratio)} "
        f"| {'-' if row.host_waits_per_step is None else f'{row.host_waits_per_step:g}'} |"
        for row in rows
    ]
    lines += ["", f"| step | {' | '.join(stages.STAGES)} | draw alone |", "|---" * (2 + len(stages.STAGES)) + "|"]
    lines += [
        f"| {row.contender} | {' | '.join(_percent(row.stages.get(stage)) for stage in stages.STAGES)} "
        f"| {_percent(row.draw_share)} |"
        for row in rows
    ]
    return "\n".join([*lines, "", ", ".join(f"{key} {value}" for key, value in machine.conditions(device).items())])


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _times(ratio: float | None) -> str:
    return "-" if ratio is None else f"x {ratio:.2f}"


if __name__ == "__main__":
    main()
