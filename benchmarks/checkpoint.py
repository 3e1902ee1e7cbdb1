"""How long training stands still for a checkpoint: written at once, and behind training's back.

    python benchmarks/checkpoint.py [--json] [--device cpu|cuda] [--states toy,S,B] [--runs 5] [--folder DIR]
                                    [--rows FILE]

`at once` is `CheckpointFolder.save` in the trainer's thread, `stands still` is `CheckpointWriter.save`, which copies
and leaves the rest to another thread. `slowed` is what steps lose to that thread until the file is durable: the time it
takes, less that of as many undisturbed steps. Seconds are of the wall clock, for a disk is waited for; medians.
"""

import dataclasses
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.speed import machine
from benchmarks.speed.cases import Case
from benchmarks.speed.rows import Rows
from iwm_core.config import TrialConfig
from iwm_core.training import numerics, state
from iwm_core.training.checkpoint import CheckpointFolder
from iwm_core.training.state import TrainState
from iwm_core.training.step import optimise
from iwm_core.training.writer import CheckpointWriter

STATES: dict[str, TrialConfig] = {
    "toy": TrialConfig(),
    "S": Case(encoder="S", predictor_depth=12, predictor_width=384, batch=1).config("iwm"),
    "B": Case(encoder="B", predictor_depth=18, predictor_width=384, batch=1).config("iwm"),
    "L": Case(encoder="L", predictor_depth=36, predictor_width=512, batch=1).config("iwm"),
}
DEFAULT = {"cpu": "toy,S,B", "cuda": "toy,B,L"}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One state: seconds per checkpoint."""

    state: str
    megabytes: float
    at_once_s: float  # training stands still, before
    stands_still_s: float  # training stands still, now
    slowed_s: float
    durable_s: float  # from the step to a file that survives a power cut
    fsync_s: float  # of as many bytes in one file of the same folder


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures every state that was asked for and prints a table, or one JSON document."""
    parser = machine.parser(__doc__)
    parser.add_argument("--states", default="", help=f"of {', '.join(STATES)}")
    parser.add_argument("--runs", type=int, default=5, help="checkpoints per figure")
    parser.add_argument("--folder", type=Path, help="where to write; default: the system's temporary folder")
    options = parser.parse_args(arguments)
    names = (options.states or DEFAULT[options.device]).split(",")
    if unknown := [name for name in names if name not in STATES]:
        parser.error(f"unknown state '{unknown[0]}'; choose from {', '.join(STATES)}")
    device = torch.device(options.device)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="iwm-bench-", dir=options.folder) as folder:
        kept, rows = Rows("checkpoint", options.rows), []
        for name in names:
            rows.append(measure(name, device=device, runs=options.runs, folder=Path(folder) / name))
            kept.add(rows[-1])
    print(json.dumps(machine.document(rows, device=device), indent=2) if options.json else table(rows, device=device))


def measure(name: str, *, device: torch.device, runs: int, folder: Path) -> Row:
    """One row. The state has been trained for a step, so that the optimiser's part is there."""
    config = STATES[name]
    config = dataclasses.replace(config, train=dataclasses.replace(config.train, batch_size=1))
    built = state.build(config, device=device)
    image_BCHW = torch.zeros(1, 3, config.data.image_size, config.data.image_size, dtype=torch.uint8, device=device)

    def step() -> None:
        with numerics.arithmetic(config.train, device=device):
            optimise(built, image_BCHW=image_BCHW, config=config)
            if device.type == "cuda":
                torch.cuda.synchronize()

    step()
    at_once = [_at_once(built, folder=CheckpointFolder(folder), step=number) for number in range(runs)]
    behind = _behind(built, step=step, device=device, runs=runs, folder=CheckpointFolder(folder / "behind"))
    newest = max(folder.glob("step-*.pt"))
    return Row(
        state=name,
        megabytes=round(newest.stat().st_size / 1e6, 2),
        at_once_s=round(median(at_once), 4),
        stands_still_s=round(median(still for still, _, _ in behind), 4),
        slowed_s=round(max(0.0, median(slowed for _, slowed, _ in behind)), 4),
        durable_s=round(median(durable for _, _, durable in behind), 4),
        fsync_s=round(median(_fsync(newest.read_bytes(), file=folder / "plain") for _ in range(runs)), 4),
    )


def _at_once(built: TrainState, *, folder: CheckpointFolder, step: int) -> float:
    began = time.perf_counter()
    folder.save(built.state_dict(), step=step)
    return time.perf_counter() - began


def _behind(
    built: TrainState, *, step: Callable[[], None], device: torch.device, runs: int, folder: CheckpointFolder
) -> list[tuple[float, float, float]]:
    """(stands still, slowed, durable) of every run but the first, whose memory is still to be found."""
    told: list[int] = []
    measured: list[tuple[float, float, float]] = []
    with CheckpointWriter(folder, device=device, written=lambda number, sha256: told.append(number)) as writer:
        for number in range(runs + 1):
            alone_s = min(_timed(step) for _ in range(3))
            began = time.perf_counter()
            writer.save(built.state_dict(), step=number)
            still_s = time.perf_counter() - began
            steps = 0
            while number not in told:
                step()
                writer.tell()
                steps += 1
            durable_s = time.perf_counter() - began
            measured.append((still_s, durable_s - still_s - steps * alone_s, durable_s))
    return measured[1:]


def _timed(step: Callable[[], None]) -> float:
    began = time.perf_counter()
    step()
    return time.perf_counter() - began


def _fsync(content: bytes, *, file: Path) -> float:
    """Seconds of fsync alone, of a file with this content."""
    with file.open("wb") as stream:
        stream.write(content)
        stream.flush()
        began = time.perf_counter()
        os.fsync(stream.fileno())
        return time.perf_counter() - began


def table(rows: Sequence[Row], *, device: torch.device) -> str:
    """Markdown."""
    lines = [
        "| state | MB | at once | stands still | slowed | durable after | fsync alone |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.state} | {row.megabytes:,.1f} | {row.at_once_s:.4f} s | {row.stands_still_s:.4f} s "
        f"| {row.slowed_s:.4f} s | {row.durable_s:.4f} s | {row.fsync_s:.4f} s |"
        for row in rows
    ]
    return machine.with_conditions(lines, device=device)


if __name__ == "__main__":
    main()
