"""Ranks as processes of this machine, on gloo: `outcomes = together(2, config, folder=..., ...)`."""

import dataclasses
import json
import multiprocessing
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from iwm_core import pretrain
from iwm_core.config import RuntimeConfig, TrialConfig
from iwm_core.events import Event, Finished, Preempted, RunCallbacks, to_json
from iwm_core.training.checkpoint import CheckpointFolder
from iwm_core.training.distributed import World, joined
from iwm_core.training.place import Place

RUNTIME = RuntimeConfig(device="cpu", checkpoint_every_steps=1000)
DEADLINE_S = 600


@dataclass(frozen=True)
class Told:
    """What one rank is told: `stop_at` (steps asked before it hears SIGTERM), `die_at` (before it dies)."""

    stop_at: int = 0
    die_at: int = 0


def together(
    ranks: int,
    config: TrialConfig,
    *,
    folder: Path,
    attempt: int = 0,
    runtime: RuntimeConfig = RUNTIME,
    told: Mapping[int, Told] = {},
) -> list[dict[str, Any]]:
    """Trains on `ranks` ranks; what the first one said, as its journal would have it."""
    folder.mkdir(parents=True, exist_ok=True)
    journal = folder / f"attempt-{attempt}.jsonl"
    work = (config, runtime, folder, attempt, journal)
    codes = run_ranks(ranks, _train, [(*work, told.get(rank, Told())) for rank in range(ranks)])
    assert codes == [0] * ranks, codes
    return [json.loads(line) for line in journal.read_text().splitlines()]


def run_ranks(ranks: int, work: Callable[..., None], arguments: list[tuple[Any, ...]]) -> list[int | None]:
    """Runs `work(world, *arguments[rank])` in a process for each rank; their exit codes."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["iwm_core.pretrain"])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = [Place(rank=rank, ranks=ranks, local_rank=rank, host="127.0.0.1", port=port) for rank in range(ranks)]
    processes = [context.Process(target=_rank, args=(place, work, arguments[place.rank])) for place in places]
    for process in processes:
        process.start()
    try:
        for process in processes:
            process.join(DEADLINE_S)
            assert process.exitcode is not None, "a rank hangs"
        return [process.exitcode for process in processes]
    finally:
        for process in processes:
            process.kill()


def _rank(place: Place, work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    torch.set_num_threads(1)
    with joined(place) as world:
        work(world, *arguments)


def _train(  # noqa: PLR0917
    world: World, config: TrialConfig, runtime: RuntimeConfig, folder: Path, attempt: int, journal: Path, told: Told
) -> None:
    asked = 0

    def should_stop() -> str | None:
        nonlocal asked
        asked += 1
        if asked == told.die_at:
            os._exit(9)
        return "SIGTERM" if asked == told.stop_at else None

    if not world.leads:
        assert world.is_called()
        pretrain.follow(config, runtime, callbacks=RunCallbacks(should_stop=should_stop), world=world)
        return world.wait_for_the_end()
    with journal.open("w") as lines:

        def emit(event: Event) -> None:
            lines.write(to_json(event) + "\n")
            lines.flush()

        def on_start(step: int, skipped: list[str], fingerprint: dict[str, Any]) -> None:
            lines.write(json.dumps({"event": "began", "step": step, **fingerprint}) + "\n")

        checkpoints = CheckpointFolder(folder / "checkpoints", attempt=attempt)
        end = pretrain.train(
            config,
            runtime,
            checkpoints=checkpoints,
            callbacks=RunCallbacks(on_start=on_start, emit=emit, should_stop=should_stop),
            world=world,
        )
        assert isinstance(end, Finished | Preempted)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """The trained networks of the newest checkpoint."""
    payload = CheckpointFolder(folder / "checkpoints", attempt=99).newest().payload
    assert payload is not None
    return payload["world_model"]


def with_train(config: TrialConfig, **settings: Any) -> TrialConfig:
    """The configuration with other settings of `train`."""
    return dataclasses.replace(config, train=dataclasses.replace(config.train, **settings))
