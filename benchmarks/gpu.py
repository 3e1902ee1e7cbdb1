"""What a GPU does with this code, in a few minutes: tests, the card's peak, training, loading, evaluation; one report.

    python -m benchmarks.gpu --minutes 8 --out DIR [--official CHECKOUT] [--parts tests,step] [--dry-run]

Parts run in order of worth, each in a process of its own with a time box: its share of the minutes that are left. A row
is in DIR/rows.jsonl once it is measured, and a second later in DIR/report.json and DIR/report.md; DIR/log.txt has what
the parts printed. A part that fails or runs out of time costs what it had not measured yet. `--dry-run` runs the same
on the CPU with toy sizes. Exit code 0: every part ran to its end; 1: not all did; 2: wrong arguments.

Beside this checkout it needs torch, torchvision, timm, scikit-learn, pillow, threadpoolctl, pytest and pytest-xdist: no
SLURM, SQL or MLflow.
"""

import argparse
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Literal

import torch

from benchmarks.speed import machine, rows
from benchmarks.speed.gpu_report import Outcome, State, as_json, as_markdown

TREE = Path(__file__).parents[1]
LOOK_EVERY_S, GRACE_S, LEAST_S = 1.0, 5.0, 3.0


@dataclass(frozen=True, kw_only=True)
class Part:
    """One command: on a GPU, and in a dry run; `{minutes}` in it is its time box.

    `share` is its claim to the time, beside the other parts'.
    """

    name: str
    share: float
    command: tuple[str, ...]
    toy: tuple[str, ...]


PARTS = (
    Part(
        name="tests",
        share=90,
        command=("pytest", "-m", "gpu", "tests/gpu", "-n", "4", "--dist", "loadfile"),
        toy=("pytest", "-m", "gpu", "tests/gpu/test_step.py", "-n", "1"),  # `make nightly` rehearses all of tests/gpu
    ),
    Part(name="peak", share=20, command=("benchmarks.peak",), toy=("benchmarks.peak", "--size", "64")),
    Part(
        name="step",
        share=180,
        command=("benchmarks.step", "--objectives", "iwm", "--rounds", "3"),
        toy=("benchmarks.step", "--toy", "--rounds", "1"),
    ),
    Part(name="kernels", share=40, command=("benchmarks.kernels",), toy=("benchmarks.kernels", "--toy")),
    Part(
        name="pipeline",
        share=60,
        command=("benchmarks.pipeline", "--workers", "8,16", "--rounds", "3", "--batches", "20"),
        toy=("benchmarks.pipeline", "--toy", "--workers", "0,1", "--rounds", "1", "--batches", "2"),
    ),
    Part(
        name="checkpoint",
        share=30,
        command=("benchmarks.checkpoint", "--states", "B", "--runs", "3"),
        toy=("benchmarks.checkpoint", "--states", "toy", "--runs", "1"),
    ),
    Part(
        name="evaluation",
        share=100,
        command=("benchmarks.evaluation", "--size", "B", "--minutes", "{minutes}"),
        toy=("benchmarks.evaluation", "--size", "toy"),
    ),
)
NAMES = tuple(part.name for part in PARTS)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the parts and writes the report."""
    parser = argparse.ArgumentParser(prog="benchmarks.gpu", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=8, help="for all parts together")
    parser.add_argument("--out", type=Path, required=True, help="folder of the report; it must not hold one yet")
    parser.add_argument("--official", type=Path, help="a checkout of facebookresearch/ijepa, to measure beside ours")
    parser.add_argument("--parts", default=",".join(NAMES), help=f"of {', '.join(NAMES)}")
    parser.add_argument("--dry-run", action="store_true", help="on the CPU, with toy sizes")
    options = parser.parse_args(arguments)
    wanted = options.parts.split(",")
    if unknown := [name for name in wanted if name not in NAMES]:
        parser.error(f"unknown part '{unknown[0]}'; choose from {', '.join(NAMES)}")
    if (options.out / "rows.jsonl").exists():
        parser.error(f"{options.out} holds an earlier report; name another folder")
    if options.official and not (options.official / "src" / "helper.py").is_file():
        parser.error(f"{options.official} is no checkout of facebookresearch/ijepa: it has no src/helper.py")
    if not options.dry_run and not torch.cuda.is_available():
        parser.error("torch finds no GPU here; --dry-run does the same on the CPU with toy sizes")
    options.out.mkdir(parents=True, exist_ok=True)
    session = Session(
        out=options.out, minutes=options.minutes, device="cpu" if options.dry_run else "cuda", official=options.official
    )
    outcomes = session.run([part for part in PARTS if part.name in wanted])
    for outcome in outcomes:
        print(f"{outcome.part}: {outcome.state}, {outcome.seconds:.0f} s, {outcome.rows} rows")
    print(f"{options.out / 'report.md'}")
    sys.exit(0 if all(outcome.state == "done" for outcome in outcomes) else 1)


class Session:
    """A folder, a deadline and what has become of each part."""

    def __init__(self, *, out: Path, minutes: float, device: Literal["cpu", "cuda"], official: Path | None) -> None:
        self._out, self._device, self._official = out, device, official
        self._deadline = time.monotonic() + 60 * minutes
        self._rows = out / "rows.jsonl"
        self._conditions = conditions(torch.device(device))
        self._outcomes: list[Outcome] = []
        self._signal = ""

    def run(self, parts: Sequence[Part]) -> list[Outcome]:
        """Runs every part that there is time for; SIGTERM and Ctrl-C end the part that runs and skip the others."""
        before = {each: signal.signal(each, self._stop) for each in (signal.SIGTERM, signal.SIGINT)}
        self._rows.touch()
        try:
            for number, part in enumerate(parts):
                left_s = self._deadline - time.monotonic()
                if self._signal or left_s < LEAST_S:
                    self._outcomes.append(Outcome(part=part.name, state="no time left", command=""))
                    continue
                box_s = left_s * part.share / sum(other.share for other in parts[number:])
                self._run(part, box_s=box_s)
        finally:
            self._write()
            for each, handler in before.items():
                signal.signal(each, handler)
        return self._outcomes

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._signal = signal.Signals(number).name

    def _run(self, part: Part, *, box_s: float) -> None:
        """One part to its end, or to that of its time box."""
        command, began = self._command(part, box_s=box_s), time.monotonic()
        shown = "python -m " + " ".join(command)
        self._outcomes.append(Outcome(part=part.name, state="running", command=shown, box_s=round(box_s, 1)))
        with (self._out / "log.txt").open("ab") as log:
            log.write(f"\n=== {part.name}: {shown}\n".encode())
            log.flush()
            start = log.tell()
            process = subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=TREE,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment(),
                process_group=0,
            )
            state = self._watch(process, until=began + box_s)
        printed = (self._out / "log.txt").read_bytes()[start:].decode(errors="replace")
        self._outcomes[-1] = Outcome(
            part=part.name,
            state=state,
            command=shown,
            box_s=round(box_s, 1),
            seconds=round(time.monotonic() - began, 1),
            rows=sum(row["part"] == part.name for row in rows.read(self._rows)),
            said="" if state == "done" else "\n".join(printed.splitlines()[-20:]),
        )
        self._write()

    def _command(self, part: Part, *, box_s: float) -> tuple[str, ...]:
        command = part.command if self._device == "cuda" else part.toy
        command = tuple(word.format(minutes=round(box_s / 60, 2)) for word in command)
        if command[0] == "pytest":
            # other versions than the tested ones warn of other things, and a hang is worth its stack
            settings = ("-p", "benchmarks.speed.outcomes", "-o", "filterwarnings=", "-o", "faulthandler_timeout=60")
            return (*command, *settings)
        official = ("--official", str(self._official)) if self._official and part.name == "step" else ()
        return (*command, "--device", self._device, "--rows", str(self._rows.resolve()), *official)

    def _environment(self) -> dict[str, str]:
        """Of a part: prints at once, and the tests know where to run and to write."""
        chosen = {"IWM_REQUIRE_GPU": "1"} if self._device == "cuda" else {"IWM_GPU_TESTS_ON": "cpu"}
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        return {**inherited, **chosen, "PYTHONUNBUFFERED": "1", "IWM_ROWS": str(self._rows.resolve())}

    def _watch(self, process: subprocess.Popen[bytes], *, until: float) -> State:
        """Waits for the process, and keeps the report up to date meanwhile."""
        size = -1
        while not self._signal and time.monotonic() < until:
            try:
                return "done" if process.wait(timeout=LOOK_EVERY_S) == 0 else "failed"
            except subprocess.TimeoutExpired:
                if (now := self._rows.stat().st_size) != size:
                    size = now
                    self._write()
        _end(process)
        return "interrupted" if self._signal else "out of time"

    def _write(self) -> None:
        """Both reports, each whole at any moment."""
        found = rows.read(self._rows)
        for name, render in (("report.json", as_json), ("report.md", as_markdown)):
            draft = self._out / f".{name}"
            draft.write_text(render(self._conditions, outcomes=self._outcomes, rows=found))
            draft.replace(self._out / name)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends the process with all that it started: asked first, then killed."""
    for number, grace_s in ((signal.SIGTERM, GRACE_S), (signal.SIGKILL, None)):
        try:
            os.killpg(process.pid, number)
            process.wait(timeout=grace_s)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def conditions(device: torch.device) -> dict[str, str]:
    """What stands over the report: the card and its driver, the processor, versions and the date."""
    told = {**machine.conditions(device), "python": platform.python_version()}
    if device.type == "cuda":
        fields = "driver_version,memory.total,clocks.max.sm,power.limit"
        if shutil.which("nvidia-smi"):
            asked = ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader", "-i", "0"]
            answer = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=20).stdout.strip()
            told |= dict(zip(("driver", "memory", "highest clock", "power limit"), answer.split(", "), strict=False))
        told["cuda"] = str(torch.version.cuda)
    return told


if __name__ == "__main__":
    main()
