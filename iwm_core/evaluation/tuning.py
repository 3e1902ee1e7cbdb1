r"""The training loop of the protocols that train something.

    lr(s) = r lr s / W                                          s < W        linear warm-up
          = r lr (1 + cos(pi (s - W) / (S - W))) / 2            otherwise    cosine to 0

Symbols: s the step from 0, S `tune.steps`, W = round(tune.warmup_ratio S), lr `tune.lr`, r the ratio of a part's rate
to it: 1 for a head and for parts that start at random, `tune.pretrained_lr_ratio` for pretrained parts [C2 S1], and for
an encoder's block `tune.layer_decay` times that of the block above. AdamW, decay on the weights of linear maps only.
Source: fine-tuning with AdamW over 100 epochs [C2 S1]; schedule and decay as in MAE's recipe [OURS].

Crops, flips, mixing and the choice of a task are functions of (seed, step), so an interrupted run resumes to the same
bits. A checkpoint has the trained parts only; frozen parts are read from the parent again. Tuning runs on one rank.
"""

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from iwm_core.config import RuntimeConfig, TrialConfig, TuneConfig
from iwm_core.data.loader import Batch
from iwm_core.errors import ConfigError, NonFiniteLossError
from iwm_core.events import TELEMETRY, Checkpoint, Evaluated, Finished, Preempted, RunCallbacks, Step
from iwm_core.tensors import sha256_of
from iwm_core.training import numerics
from iwm_core.training.checkpoint import CheckpointFolder


@dataclass(frozen=True, kw_only=True)
class Rate:
    """Parameters with the learning rate `share` x `tune.lr`."""

    parameters: list[nn.Parameter]
    share: float
    decayed: bool


class Learner(nn.Module, ABC):
    """Abstract: what a protocol trains, its data and its score. The modules named in `frozen` are not trained."""

    frozen: tuple[str, ...] = ()
    digest: str = ""

    @abstractmethod
    def batches(self, *, start: int, workers: int) -> Generator[Batch, None, None]:
        """The batches of steps `start` to `tune.steps` - 1."""

    @abstractmethod
    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return the losses by name, whose sum is minimised; `loss` is the protocol's own."""

    @abstractmethod
    def rates(self) -> list[Rate]:
        """Return the rates; together they have every trained parameter once."""

    @abstractmethod
    def score(self) -> dict[str, float]:
        """Return the protocol's metrics on the test split."""

    def train(self, mode: bool = True) -> "Learner":
        """Set training mode, except for frozen modules."""
        super().train(mode)
        for name in self.frozen:
            self.get_submodule(name).eval()
        return self

    def trained_state(self) -> dict[str, Tensor]:
        """Return the state of the trained parts, for a checkpoint."""
        away = tuple(f"{name}." for name in self.frozen)
        return {name: value for name, value in self.state_dict().items() if not name.startswith(away)}


@dataclass(kw_only=True)
class TuneState:
    """The state that tuning changes, after `step` steps."""

    learner: Learner
    optimizer: AdamW
    step: int = 0
    metrics: dict[str, float] = field(default_factory=dict)

    def state_dict(self) -> dict[str, Any]:
        """A checkpoint's payload."""
        return {
            "trained": self.learner.trained_state(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "metrics": dict(self.metrics),
        }

    def load_state_dict(self, payload: Mapping[str, Any]) -> None:
        """Load a payload of `state_dict`."""
        self.learner.load_state_dict(payload["trained"], strict=False)
        self.optimizer.load_state_dict(payload["optimizer"])
        self.step, self.metrics = payload["step"], dict(payload["metrics"])


def tune(
    learner: Learner,
    config: TrialConfig,
    runtime: RuntimeConfig,
    *,
    device: torch.device,
    checkpoints: CheckpointFolder,
    done: Mapping[str, Mapping[str, float]],
    callbacks: RunCallbacks,
) -> Finished | Preempted:
    """Tune to the last step and score, or stop at a signal. Returns the final event without emitting it.

    Raises:
        NonFiniteLossError: the loss became NaN or infinite.
        CheckpointError: a checkpoint could not be written.
        DataError: images that cannot be read.
    """
    tuned, skipped = _resumed(learner, config, checkpoints=checkpoints)
    fingerprint = numerics.fingerprint(config, device=device) | {"images": learner.digest}
    callbacks.on_start(tuned.step, skipped, fingerprint)
    signal = _advance(tuned, config, runtime, device=device, checkpoints=checkpoints, callbacks=callbacks)
    if signal is not None:
        return Preempted(step=tuned.step, signal=signal)
    protocol = config.evaluate.protocol
    measured = dict(done.get(protocol) or score(learner))
    if protocol not in done:
        callbacks.emit(Evaluated(step=tuned.step, protocol=protocol, metrics=measured))
    return Finished(step=tuned.step, weights_sha256=tuned_sha256(learner), metrics=tuned.metrics | measured)


def score(learner: Learner) -> dict[str, float]:
    """Return the metrics, computed in fp32 without gradients in evaluation mode."""
    learner.eval()
    with torch.no_grad():
        return learner.score()


def lr_at(tune: TuneConfig, *, step: int) -> float:
    """Return the learning rate of a part whose share is 1."""
    warmup = round(tune.warmup_ratio * tune.steps)
    if step < warmup:
        return tune.lr * (step + 1) / (warmup + 1)
    return tune.lr * (1 + math.cos(math.pi * (step - warmup) / max(1, tune.steps - warmup))) / 2


def rates_of(module: nn.Module, *, share: float) -> list[Rate]:
    """Return the trainable parameters of `module` at one rate; weight decay applies to linear maps only."""
    maps = {id(part.weight) for part in module.modules() if isinstance(part, nn.Linear | nn.Conv2d)}
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    return [
        Rate(parameters=[p for p in trained if (id(p) in maps) is decayed], share=share, decayed=decayed)
        for decayed in (True, False)
    ]


def as_tuned(config: TrialConfig) -> TrialConfig:
    """Return the configuration with the steps and batch size of tuning in `train`, for drawing batches."""
    length = replace(config.train, steps=config.tune.steps, batch_size=config.tune.batch_size)
    return replace(config, train=length)


def tuned_sha256(learner: Learner) -> str:
    """Return the SHA-256 of the trained parts."""
    return sha256_of(learner.trained_state())


def started(learner: Learner, tune: TuneConfig) -> TuneState:
    """Return the state before the first step."""
    groups = [{"params": r.parameters, "share": r.share, "decayed": r.decayed} for r in learner.rates() if r.parameters]
    return TuneState(learner=learner, optimizer=AdamW(groups, lr=tune.lr, weight_decay=0.0, fused=True))


def _resumed(learner: Learner, config: TrialConfig, *, checkpoints: CheckpointFolder) -> tuple[TuneState, list[str]]:
    _check(config.tune)
    tuned = started(learner, config.tune)
    payload, _, skipped = checkpoints.newest()
    if payload is not None:
        tuned.load_state_dict(payload)
    return tuned, skipped


def _advance(
    tuned: TuneState,
    config: TrialConfig,
    runtime: RuntimeConfig,
    *,
    device: torch.device,
    checkpoints: CheckpointFolder,
    callbacks: RunCallbacks,
) -> str | None:
    """Run to the last step (returns None), or until a signal, which it returns after a checkpoint."""
    total, since = config.tune.steps, time.perf_counter()
    tuned.learner.train()
    with closing(tuned.learner.batches(start=tuned.step, workers=runtime.loader_workers)) as stream:
        while tuned.step < total:
            losses = optimise(tuned, next(stream), config=config, device=device)
            signal, step = callbacks.should_stop(), tuned.step
            save_due = step == total or signal is not None or step % runtime.checkpoint_every_steps == 0
            log_due = step == total or step % config.train.log_every == 0
            read = _read(losses, step=step) if save_due or log_due else {}
            if log_due:
                speed = config.tune.batch_size * config.train.log_every / (time.perf_counter() - since)
                since = time.perf_counter()
                tuned.metrics = read
                metrics = {**read, "lr": lr_at(config.tune, step=step - 1), _SPEED: speed}
                callbacks.emit(Step(step=step, metrics=metrics))
            if save_due:
                callbacks.emit(Checkpoint(step=step, sha256=checkpoints.save(tuned.state_dict(), step=step)))
            if signal is not None:
                return signal
    return None


def optimise(tuned: TuneState, batch: Batch, *, config: TrialConfig, device: torch.device) -> dict[str, Tensor]:
    """One step of AdamW."""
    with numerics.autocast(config.train, device=device):
        losses = tuned.learner.losses(batch)
    tuned.optimizer.zero_grad(set_to_none=True)
    torch.stack(list(losses.values())).sum().backward()
    lr = lr_at(config.tune, step=tuned.step)
    for group in tuned.optimizer.param_groups:
        group["lr"] = lr * group["share"]
        group["weight_decay"] = config.tune.weight_decay if group["decayed"] else 0.0
    tuned.optimizer.step()
    tuned.step += 1
    return losses


def _read(losses: Mapping[str, Tensor], *, step: int) -> dict[str, float]:
    values = dict(zip(losses, torch.stack([value.detach() for value in losses.values()]).tolist(), strict=True))
    if not all(math.isfinite(value) for value in values.values()):
        raise NonFiniteLossError(
            f"the loss became NaN or infinite by step {step} of tuning; its checkpoints are unaffected: try a lower "
            "tune.lr, a longer tune.warmup_ratio or train.precision=fp32"
        )
    return values


def _check(tune: TuneConfig) -> None:
    if tune.steps < 1 or tune.batch_size < 2:
        raise ConfigError(
            f"tune.steps={tune.steps} must be at least 1, and tune.batch_size={tune.batch_size} at least 2"
        )


_SPEED = "images_per_s"
assert _SPEED in TELEMETRY
