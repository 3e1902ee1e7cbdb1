"""Roots as planners and workers leave them, written without fsync and without training.

A sweep of two conditionings, five strengths and as many seeds as it takes. Each trial has its value, its claim, its job
and, where it started, a journal of up to `STEP_LINES` lines with ten metrics. Everything was claimed on another host,
so that looking at it starts nothing here, and happened long ago, as most of a large sweep has.
"""

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from iwm_core.events import Checkpoint, Evaluated, Event, Finished, Started, Step, to_json
from orchestrator.planning.expand import expand
from orchestrator.records.layout import Layout, TrialFolder
from orchestrator.trial import events
from orchestrator.trial.sweep import Resources, Scalar, Sweep

STEP_LINES = 5
T0 = 1_700_000_000.0
MIXED = {"finished": 60, "running": 25, "queued": 13, "cancelled": 2}
LIVE = {"running": 100}
METRICS = (
    *("loss", "grad_norm", "target_std", "prediction_std", "effective_rank"),
    *("lr", "ema", "collapse_alarm", "images_per_s", "data_wait_share"),
)


@dataclass(frozen=True)
class Shape:
    """A sweep but for its number of seeds."""

    axes: Mapping[str, Sequence[Scalar]]

    @property
    def cells(self) -> int:
        """Per seed."""
        return math.prod(map(len, self.axes.values()))

    def file_of(self, *, trials: int) -> str:
        """The sweep's file: JSON, which is YAML."""
        seeds = max(1, trials // self.cells)
        rest = {"description": "Many trials.", "overrides": ["train.steps=100"]}
        return json.dumps({**rest, "axes": self.axes, "seeds": seeds})


FEW_CELLS = Shape({"conditioning": ["none", "feature"], "photometric.strength": [0.2, 0.4, 0.6, 0.8, 1.0]})
MANY_CELLS = Shape(
    {
        **FEW_CELLS.axes,
        "predictor.depth": [1, 2, 3, 4, 5],
        "optim.lr": [place * 1e-4 for place in range(1, 11)],
        "optim.weight_decay": [place / 100 for place in range(1, 11)],
    }
)


@dataclass(frozen=True)
class World:
    """A root, and the sweep that its trials belong to: the words that name it to `iwm plan` and `iwm submit`."""

    root: Path
    sweep: Sweep
    words: tuple[str, ...]


def make_world(folder: Path, *, trials: int, mix: Mapping[str, int], shape: Shape = FEW_CELLS) -> World:
    """A sweep of about so many trials, all of them on disk; `mix` says how many of a hundred are in which state."""
    words = write_sweep(folder, trials=trials, shape=shape)
    sweep = expand(words[0], sweeps_dir=Path(words[2]))
    layout = Layout.of(folder / "root", environ={})
    states = [state for state, share in mix.items() for _ in range(share)]
    for place, cell in enumerate(sweep.cells):
        value = json.dumps(cell.trial.to_dict())
        _write(layout.trial(cell.trial.id), value, state=states[place * 37 % 100])
    record = layout.sweep_file(sweep.id)
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps(sweep.to_record(t=T0).to_dict()))
    return World(layout.root, sweep, words)


def write_sweep(folder: Path, *, trials: int, shape: Shape = FEW_CELLS) -> tuple[str, ...]:
    """Writes the sweep's file; the words that name it on the command line."""
    sweeps = folder / "sweeps"
    (sweeps / "ablation").mkdir(parents=True)
    (sweeps / "ablation" / "many.yaml").write_text(shape.file_of(trials=trials))
    return ("many", "--sweeps", str(sweeps))


def _write(folder: TrialFolder, value: str, *, state: str) -> None:
    folder.control.mkdir(parents=True)
    folder.value_file.write_text(value)
    folder.claim(0).write_text(_CLAIM)
    folder.control_event(claim=0, sequence=1).write_text(_JOB)
    if state == "cancelled":
        folder.control_event(claim=0, sequence=2).write_text(_CANCEL)
    if state in ("running", "finished"):
        folder.journal.mkdir()
        folder.attempt(0).write_text(_JOURNALS[state])
    for path in (*folder.path.glob("*/*"), *folder.path.glob("*")):
        os.utime(path, (T0, T0))


def _journal(*, finished: bool) -> Iterator[Event]:
    fingerprint = {"device": "NVIDIA H100", "dtype": "bf16", "threads": 8, "ranks": 1, "deterministic": True}
    packages = {name: "1.2.3" for name in ("iwm-orchestrator", "torch", "torchvision", "timm", "numpy", "submitit")}
    provenance = {"commit": "c0ffee" * 6 + "c0ff", "dirty": False, "packages": packages, "python": "3.11.7"}
    yield Started(
        job_id="1234_5", host="node17", pid=1, total_steps=100, fingerprint=fingerprint, provenance=provenance, t=T0
    )
    for line in range(1, STEP_LINES + finished):
        step = line * 100 // STEP_LINES
        yield Step(step=step, metrics={name: (place + step) / 7 for place, name in enumerate(METRICS)}, t=T0 + step)
        yield Checkpoint(step=step, sha256="ab" * 32, t=T0 + step)
    if finished:
        final: dict[str, float] = {"mrr": 0.53, "mrr_floor": 0.024, "linear_probe_top1": 0.41}
        yield Evaluated(step=100, protocol="mrr", metrics=final, t=T0 + 101)
        yield Finished(step=100, weights_sha256="cd" * 32, metrics=final, t=T0 + 102)


def _lines(journal: Iterator[Event]) -> str:
    return "".join(to_json(event) + "\n" for event in journal)


def _control(event: events.ControlEvent) -> str:
    return json.dumps(events.to_dict(event))


_CLAIM = _control(
    events.Claimed(token="7387129947e0a7d4", launcher="local", host="elsewhere", resources=vars(Resources()), t=T0)
)
_JOB = _control(events.Submitted(job_id="1234_5", t=T0))
_CANCEL = _control(events.Cancelled(by="anna", t=T0))
_JOURNALS = {"running": _lines(_journal(finished=False)), "finished": _lines(_journal(finished=True))}
