"""One training step: images per second, FLOPs, share of the peak, where its time goes; ours beside I-JEPA's own.

    python benchmarks/step.py [--json] [--official CHECKOUT] [--device cpu|cuda] [--objectives iwm,ijepa] [--rounds 7]
                              [--rows FILE] [--toy]

`--official` is a checkout of facebookresearch/ijepa (CC-BY-NC: it is imported from there, nothing of it is kept here);
its step is run in turns with ours, at equal encoder, predictor, batch, image size and counts. On a CPU everything runs
on one thread of one core. A case that fails costs itself alone; with `--rows` each is in the file once it is measured.
"""

import gc
import json
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.speed import cases, clock, machine, stages
from benchmarks.speed.cases import Case
from benchmarks.speed.contenders import Contender, ours
from benchmarks.speed.official import official
from benchmarks.speed.rows import Rows
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
    mfu: float | None  # share of the device's peak by its data sheet
    first_step_s: float  # of the wall clock; kernels are chosen and compiled in it
    peak_memory_gb: float | None  # of a GPU, all contenders of the case beside one another
    draw_share: float | None  # views and masks alone, of the step
    host_waits_per_step: float | None
    images_ratio: float | None
    flops_ratio: float | None
    stages: dict[str, float]  # shares of the step; none where compilation leaves no seams between them


@dataclass(frozen=True, kw_only=True)
class Failed:
    """A case that could not be measured."""

    case: str
    error: str


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures every case of the device and prints tables, or one JSON document."""
    parser = machine.parser(__doc__)
    parser.add_argument("--official", type=Path, help="a checkout of facebookresearch/ijepa")
    parser.add_argument("--objectives", default=",".join(JEPAS), help=f"of {', '.join(OBJECTIVES)}")
    parser.add_argument("--cases", default="", help="numbers of the cases, from 0; empty: all of the device")
    parser.add_argument("--rounds", type=int, default=7, help="turns of every contender")
    parser.add_argument("--toy", action="store_true", help="one tiny case, to see that it runs")
    options = parser.parse_args(arguments)
    objectives = [name for name in options.objectives.split(",") if name]
    if unknown := [name for name in objectives if name not in OBJECTIVES]:
        parser.error(f"unknown objective '{unknown[0]}'; choose from {', '.join(OBJECTIVES)}")
    if options.device == "cpu":
        machine.one_core()
    device = torch.device(options.device)
    known = (cases.TOY,) if options.toy else cases.CUDA if device.type == "cuda" else cases.CPU
    chosen = [known[int(number)] for number in options.cases.split(",")] if options.cases else known
    kept, rows, failed = Rows("step", options.rows), list[Row](), list[Failed]()
    for case in chosen:
        try:
            found = measure(
                case, objectives=objectives, checkout=options.official, device=device, rounds=options.rounds
            )
        except Exception as error:  # whatever it is, the other cases are still worth measuring
            traceback.print_exc()
            failed.append(Failed(case=case.name, error=f"{type(error).__name__}: {error}"))
            kept.add(failed[-1])
        else:
            for row in found:
                kept.add(row)
            rows += found
        _forget(device)
    print(json.dumps(machine.document(rows, device=device), indent=2) if options.json else table(rows, device=device))
    if failed:
        sys.exit(1)


def _forget(device: torch.device) -> None:
    """Frees the case's memory and what was compiled for it, so that the next one is measured as if it were alone."""
    gc.collect()
    torch.compiler.reset()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def measure(
    case: Case, *, objectives: Sequence[str], checkout: Path | None, device: torch.device, rounds: int
) -> list[Row]:
    """The rows of one case, the official step first where there is a checkout."""
    contenders = [official(case, checkout=checkout, device=device)] if checkout and case.official else []
    contenders += [ours(case, objective=name, device=device) for name in objectives]
    steps = {contender.name: contender.step for contender in contenders}
    began = {name: clock.first(step, device=device) for name, step in steps.items()}
    spent = clock.in_turns(steps, device=device, rounds=rounds, times=STEPS[device.type])
    memory_gb = torch.cuda.max_memory_allocated(device) / 1e9 if device.type == "cuda" else None
    reference = contenders[0] if contenders[0].name == "official" else None
    return [
        row(contender, case=case, spent=spent, first_s=began, memory_gb=memory_gb, reference=reference, device=device)
        for contender in contenders
    ]


def row(
    contender: Contender,
    *,
    case: Case,
    spent: dict[str, list[float]],
    first_s: dict[str, float],
    memory_gb: float | None,
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
        first_step_s=round(first_s[contender.name], 2),
        peak_memory_gb=memory_gb and round(memory_gb, 2),
        draw_share=draw_s and round(draw_s / step_s, 4),
        host_waits_per_step=clock.host_waits(contender.step, device=device),
        images_ratio=images_ratio and round(images_ratio, 3),
        flops_ratio=images_ratio and reference and round(images_ratio * contender.flops / reference.flops, 3),
        stages={} if case.is_compiled else stages.shares(contender.step, of=contender.watched, device=device),
    )


def table(rows: Sequence[Row], *, device: torch.device) -> str:
    """Markdown: speeds, then shares."""
    lines = [
        "| case | step | images/s | GFLOP/image | GFLOP/s | MFU | official: images/s | FLOP/s | host waits "
        "| first step | memory |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.case} | {row.contender} | {row.images_per_s:,.4g} | {row.gflops_per_image:.1f} "
        f"| {row.gflops_per_s:,.0f} | {_percent(row.mfu)} | {_times(row.images_ratio)} | {_times(row.flops_ratio)} "
        f"| {'-' if row.host_waits_per_step is None else f'{row.host_waits_per_step:g}'} | {row.first_step_s:.1f} s "
        f"| {'-' if row.peak_memory_gb is None else f'{row.peak_memory_gb:.1f} GB'} |"
        for row in rows
    ]
    lines += ["", f"| step | {' | '.join(stages.STAGES)} | draw alone |", "|---" * (2 + len(stages.STAGES)) + "|"]
    lines += [
        f"| {row.contender} | {' | '.join(_percent(row.stages.get(stage)) for stage in stages.STAGES)} "
        f"| {_percent(row.draw_share)} |"
        for row in rows
    ]
    return machine.with_conditions(lines, device=device)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _times(ratio: float | None) -> str:
    return "-" if ratio is None else f"x {ratio:.2f}"


if __name__ == "__main__":
    main()
