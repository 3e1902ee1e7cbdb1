"""A trial that trains nothing: the protocols of `run` on the final weights of another trial, its parent.

`examine` is to such a trial what `training.loop.train` is to an ordinary one: it says the same events through `emit`,
and asks `should_stop` before each protocol. The step is the parent's last one throughout. An attempt that was
interrupted has lost the protocol it was at; those that were recorded (`done`) are not measured again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from iwm_core.config import RuntimeConfig, TrialConfig, flatten, to_dict
from iwm_core.data.datasets import load
from iwm_core.errors import CheckpointError, ConfigError
from iwm_core.evaluation.run import PROTOCOLS, run_protocol
from iwm_core.events import Evaluated, Event, Finished, Preempted
from iwm_core.training import numerics, state
from iwm_core.training.checkpoint import CheckpointFolder
from iwm_core.training.state import TrainState, weights_sha256

NETWORKS = ("encoder", "predictor", "conditioning", "objective", "data.image_size")
"""Settings and groups of settings that the networks depend on: here they are the parent's."""


@dataclass(frozen=True, kw_only=True)
class Parent:
    """The trial whose final weights are evaluated. Its checkpoints are only read.

    `weights_sha256` is what it said of its weights when it finished; empty: it has not.
    """

    config: TrialConfig
    checkpoints: CheckpointFolder
    weights_sha256: str = ""


def examine(
    config: TrialConfig,
    runtime: RuntimeConfig,
    *,
    parent: Parent,
    done: Mapping[str, Mapping[str, float]],
    emit: Callable[[Event], None],
    should_stop: Callable[[], str | None],
    on_start: Callable[[int, list[str], dict[str, Any]], None],
) -> Finished | Preempted:
    """Evaluates the parent's final weights to the end, or until `should_stop` names a signal; emits how it ended.

    `done` holds the metrics of protocols that earlier attempts recorded; `on_start` is told as in `training.loop`.

    Raises:
        ConfigError: the networks are not those of the parent, or settings do not fit this machine.
        CheckpointError: the parent has no whole checkpoint of its last step.
        DataError: images that cannot be read.
    """
    check_networks(config, parent=parent.config, name=config.pretrain)
    device = numerics.device(runtime)
    with numerics.arithmetic(config.train, device=device):
        trained, skipped = final_state(config, parent=parent, device=device)
        digest = load(config.data, split="train", root=runtime.data_root).digest
        fingerprint = numerics.fingerprint(config, device=device) | {"images": digest}
        on_start(trained.step, skipped, fingerprint)
        end = _measure(config, runtime, trained=trained, device=device, done=done, emit=emit, should_stop=should_stop)
    emit(end)
    return end


def check_networks(config: TrialConfig, *, parent: TrialConfig, name: str) -> None:
    """Refuses an evaluation whose networks are not those that the parent, called `name`, trained.

    Raises:
        ConfigError: names the first setting that differs.
    """
    ours, theirs = flatten(to_dict(config)), flatten(to_dict(parent))
    for key, value in ours.items():
        if (key in NETWORKS or key.partition(".")[0] in NETWORKS) and value != theirs[key]:
            raise ConfigError(
                f"{key} is {value} here and {theirs[key]} in trial {name}, whose weights are to be evaluated: an "
                "evaluation has the networks of its parent"
            )


def final_state(config: TrialConfig, *, parent: Parent, device: torch.device) -> tuple[TrainState, list[str]]:
    """The networks as the parent left them after its last step; and a sentence per checkpoint that was not usable.

    Raises:
        CheckpointError: there is no whole checkpoint of that step, or it holds other weights than it finished with.
    """
    payload, step, skipped = parent.checkpoints.newest()
    last, folder = parent.config.train.steps, parent.checkpoints.path
    if payload is None or step != last:
        found = f"its newest whole one is of step {step}" if payload else "it has none that is whole"
        raise CheckpointError(
            f"trial {config.pretrain} has no checkpoint of its last step {last} in {folder}: {found}. Let it finish "
            "before its weights are evaluated."
        )
    trained = state.build(config, device=device)
    trained.world_model.load_state_dict(payload["world_model"])
    trained.target.load_state_dict(payload["target"])
    trained.step = step
    if parent.weights_sha256 and weights_sha256(trained) != parent.weights_sha256:
        raise CheckpointError(f"the checkpoint of step {step} in {folder} holds other weights than it finished with")
    return trained, skipped


def _measure(
    config: TrialConfig,
    runtime: RuntimeConfig,
    *,
    trained: TrainState,
    device: torch.device,
    done: Mapping[str, Mapping[str, float]],
    emit: Callable[[Event], None],
    should_stop: Callable[[], str | None],
) -> Finished | Preempted:
    """Every protocol that is not done yet."""
    metrics: dict[str, float] = {}
    for name in PROTOCOLS:
        if name in done:
            metrics |= done[name]
            continue
        if signal := should_stop():
            return Preempted(step=trained.step, signal=signal)
        measured = run_protocol(
            name,
            config,
            world_model=trained.world_model,
            target=trained.target,
            device=device,
            data_root=runtime.data_root,
        )
        emit(Evaluated(step=trained.step, protocol=name, metrics=measured))
        metrics |= measured
    return Finished(step=trained.step, weights_sha256=weights_sha256(trained), metrics=metrics)
