"""Pretraining, from the newest checkpoint to the last step and its evaluation.

`train` is a function of the trial's configuration; `RunCallbacks` receives its events and may stop it after any step.
Stopped and called again, it ends with bit-identical weights. With several ranks, the first calls `train` and the others
`follow`: they compute the same steps, and leave the trial's folder, the events and the evaluation to the first.

To read one step from here to the loss: `training.step`, `objectives.table`, `objectives.iwm`, `objectives.objective`.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import nn

from iwm_core.config import RuntimeConfig, TrialConfig
from iwm_core.data.datasets import ImageDataset, load
from iwm_core.data.loader import batch_at, batches
from iwm_core.errors import NonFiniteLossError
from iwm_core.evaluation.online import OnlineEvaluation
from iwm_core.evaluation.protocols import evaluate
from iwm_core.evaluation.subject import Subject
from iwm_core.events import Checkpoint, Evaluated, Finished, Preempted, RunCallbacks, Step, is_telemetry
from iwm_core.tensors import onto
from iwm_core.training import flops, numerics, state
from iwm_core.training.checkpoint import CheckpointFolder, Newest
from iwm_core.training.distributed import ALONE, Agreement, World
from iwm_core.training.guard import NonFiniteGuard, is_finite, keep_batch
from iwm_core.training.health import Meter
from iwm_core.training.place import check_batch
from iwm_core.training.state import TrainState, weights_sha256
from iwm_core.training.step import Outcome, optimise, prepared, uncompiled
from iwm_core.training.writer import CheckpointWriter

_FINAL = ("loss", "target_std", "effective_rank")
"""Metrics of the last step that `Finished` repeats."""


def train(
    config: TrialConfig,
    runtime: RuntimeConfig,
    *,
    checkpoints: CheckpointFolder,
    callbacks: RunCallbacks,
    world: World = ALONE,
) -> Finished | Preempted:
    """Trains a trial to its end, or until `callbacks.should_stop` names a signal; emits and returns the end.

    Raises:
        ConfigError: settings that do not fit each other or this machine.
        DataError: images that cannot be read.
        CheckpointError: a checkpoint could not be written; those before it are untouched.
        NonFiniteLossError: the loss became NaN or infinite; its batch is kept beside the checkpoints.
        RankError: another rank ended in an error.
    """
    with _begun(config, runtime, checkpoints=checkpoints, callbacks=callbacks, world=world) as run:
        fingerprint = numerics.fingerprint(config, device=run.device, ranks=world.ranks)
        fingerprint |= {"images": run.dataset.digest, **run.state.target.fingerprint()}
        callbacks.on_start(run.state.step, run.skipped, fingerprint)
        signal = _advance(run)
        end = _finish(run) if signal is None else Preempted(step=run.state.step, signal=signal)
    callbacks.emit(end)
    return end


def follow(config: TrialConfig, runtime: RuntimeConfig, *, callbacks: RunCallbacks, world: World) -> str | None:
    """Computes every step of `train` on this rank's rows; returns the signal that stopped it early, if any.

    Only `callbacks.should_stop` is called.

    Raises:
        ConfigError, DataError, NonFiniteLossError, RankError: as `train`.
    """
    with _begun(config, runtime, checkpoints=None, callbacks=callbacks, world=world) as run:
        return _advance(run)


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One attempt at a trial on one rank, from its first step on.

    The objective calls `called`: the networks of `state`, compiled and parallel over the ranks. `skipped` has one
    sentence per unusable checkpoint. `writer` is None on the ranks that follow.
    """

    config: TrialConfig
    runtime: RuntimeConfig
    world: World
    device: torch.device
    dataset: ImageDataset
    state: TrainState
    skipped: list[str]
    called: nn.Module
    writer: CheckpointWriter | None
    online: OnlineEvaluation | None
    callbacks: RunCallbacks
    agreement: Agreement
    guard: NonFiniteGuard
    meter: Meter

    @property
    def total(self) -> int:
        return self.config.train.steps


@contextmanager
def _begun(
    config: TrialConfig,
    runtime: RuntimeConfig,
    *,
    checkpoints: CheckpointFolder | None,
    callbacks: RunCallbacks,
    world: World,
) -> Iterator[Attempt]:
    """The attempt at its first step, resumed from the newest usable checkpoint, under the trial's arithmetic.

    Only the rank with `checkpoints` reads and writes them and evaluates online; it shares the state that it read.
    """
    check_batch(config.train, ranks=world.ranks)
    device = numerics.device(runtime, local_rank=world.local_rank if world.ranks > 1 else None)
    with numerics.arithmetic(config.train, device=device), world.explaining():
        world.start(device)
        resumed = state.build(config, device=device, weights_file=runtime.weights_file)
        payload, _, skipped = checkpoints.newest() if checkpoints else Newest(None, 0, [])
        payload = world.share(payload)
        if payload is not None:
            resumed.load_state_dict(payload)

        def written(step: int, sha256: str) -> None:
            callbacks.emit(Checkpoint(step=step, sha256=sha256))

        online = checkpoints and config.train.online_every > 0
        yield Attempt(
            config=config,
            runtime=runtime,
            world=world,
            device=device,
            dataset=load(config.data, split="train", root=runtime.data_root),
            state=resumed,
            skipped=skipped,
            called=prepared(resumed, config=config, runtime=runtime, world=world),
            online=OnlineEvaluation(config, device=device, data_root=runtime.data_root) if online else None,
            writer=CheckpointWriter(checkpoints, device=device, written=written) if checkpoints else None,
            callbacks=callbacks,
            agreement=Agreement(world),
            guard=NonFiniteGuard(device=device),
            meter=_meter(config, runtime, trained=resumed, device=device, world=world),
        )


def _meter(
    config: TrialConfig, runtime: RuntimeConfig, *, trained: TrainState, device: torch.device, world: World
) -> Meter:
    """Build a meter with the devices' peak speed, where that is known."""
    peak, at_peak = flops.peak(numerics.model(device), train=config.train), None
    if peak:
        counted = flops.step_flops(trained.networks, trained.target, config=config)
        at_peak = peak * world.ranks / counted.total
    return Meter(world=world, loader_workers=runtime.loader_workers, images_per_s_at_peak=at_peak)


def _advance(run: Attempt) -> str | None:
    """Steps to the last one (None), or until a signal is named, and then to a checkpoint of the step just done."""
    B, workers = run.config.train.batch_size, run.runtime.loader_workers
    stream = batches(run.dataset, run.config, start=run.state.step, workers=workers, rows=run.world.rows(B))
    with closing(stream), run.writer or nullcontext():
        while run.state.step < run.total:
            with run.meter.waiting():
                batch = next(stream)
            image_BCHW = onto(batch.image_BCHW, run.device)
            outcome = optimise(run.state, image_BCHW=image_BCHW, config=run.config, called=run.called, world=run.world)
            run.guard.watch(outcome)
            run.meter.count(B)
            signal = run.agreement.stop(
                run.callbacks.should_stop(), step=run.state.step, last=run.state.step == run.total
            )
            _record(run, outcome, stopping=signal is not None)
            if signal is not None:
                return signal
    return None


def _record(run: Attempt, outcome: Outcome, *, stopping: bool) -> None:
    """The log line, online evaluation and checkpoint that are due after a step, if the step was sound.

    Also reports the checkpoint that has reached the disk.
    """
    if run.writer:
        run.writer.tell()
    step, last = run.state.step, run.state.step == run.total
    log_due = last or step % run.config.train.log_every == 0
    save_due = last or stopping or step % run.runtime.checkpoint_every_steps == 0
    online_due = run.config.train.online_every > 0 and step % run.config.train.online_every == 0
    if not (log_due or save_due or online_due):
        return
    _check_finite(run, weights=save_due)
    metrics = run.meter.read(outcome) if log_due else {}
    if not run.writer:
        return
    if log_due:
        run.state.metrics = {name: value for name, value in metrics.items() if not is_telemetry(name)}
    if online_due and run.online:
        with uncompiled(run.config.train):
            metrics |= run.online.measure(run.state.networks, run.state.target)
    if metrics:
        run.callbacks.emit(Step(step=step, metrics=metrics))
    if save_due:
        run.writer.save(run.state.state_dict(), step=step)


def _check_finite(run: Attempt, *, weights: bool) -> None:
    """Stops the run at a broken step; before a checkpoint it also checks the `weights` that go into it."""
    broken = run.guard.first_broken_step(run.world)
    if broken is None and weights and not is_finite(run.state.networks):
        broken = run.state.step - 1
    if broken is None:
        return
    what = f"the loss or its gradient became NaN or infinite in step {broken} of {run.total}"
    if not run.writer:
        raise NonFiniteLossError(what)
    kept = keep_batch(batch_at(run.dataset, run.config, broken), config=run.config, folder=run.writer.path)
    raise NonFiniteLossError(
        f"{what}; its batch is kept in {kept}. The checkpoints are unaffected: try a lower optim.lr, a smaller "
        "optim.grad_clip or train.precision=fp32."
    )


def _finish(run: Attempt) -> Finished:
    """Evaluates the trained networks."""
    metrics = {name: run.state.metrics[name] for name in _FINAL}
    subject = Subject(
        config=run.config,
        networks=run.state.networks,
        target=run.state.target,
        device=run.device,
        data_root=run.runtime.data_root,
    )
    with uncompiled(run.config.train):
        protocols = evaluate(subject)
    for protocol, measured in protocols.items():
        run.callbacks.emit(Evaluated(step=run.state.step, protocol=protocol, metrics=measured))
        metrics |= measured
    return Finished(step=run.state.step, weights_sha256=weights_sha256(run.state), metrics=metrics)
