"""A trial that pretrains nothing: protocols on the final weights of another trial, its parent, or on a timm model.

`examine` is to such a trial what `pretrain.train` is to an ordinary one, with the same callbacks. Without
`evaluate.protocol` it measures what is measured at the end of pretraining.

A protocol that measures is at the parent's last step throughout (a timm model's is step 1 of 1), and asks before it
begins. An interrupted attempt loses the protocol it was at; those that were recorded (`done`) are not measured again. A
protocol that tunes counts its own steps and resumes from its own checkpoints (`tuning`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from iwm_core.config import RuntimeConfig, TrialConfig, flatten, to_dict
from iwm_core.data.datasets import load
from iwm_core.errors import CheckpointError, ConfigError
from iwm_core.evaluation import protocols, tuning
from iwm_core.evaluation.latents import check_classes
from iwm_core.evaluation.subject import Subject, public
from iwm_core.events import Evaluated, Finished, Preempted, RunCallbacks
from iwm_core.models.targets import MovingAverage
from iwm_core.tensors import sha256_of
from iwm_core.training import numerics, state
from iwm_core.training.checkpoint import CheckpointFolder
from iwm_core.training.state import TrainState, weights_sha256

CPU = torch.device("cpu")
THRIFT = "lower tune.batch_size (protocols that train) or evaluate.bank_size (mrr), or set resources.device=cpu"
"""How to reduce the memory of an evaluation."""

NETWORKS = ("encoder", "predictor", "conditioning", "objective", "target", "data.image_size")
"""Settings and groups of settings that the networks depend on: here they are the parent's."""


@dataclass(frozen=True, kw_only=True)
class Parent:
    """The trial whose final weights are evaluated. Its checkpoints are only read.

    `weights_sha256` is what it said of its weights when it finished; empty: it has not.
    """

    config: TrialConfig
    checkpoints: CheckpointFolder
    weights_sha256: str = ""


@dataclass(frozen=True, kw_only=True)
class Given:
    """Networks with their weights, after `step` steps, and a sentence per checkpoint that was not usable."""

    subject: Subject
    step: int
    weights_sha256: str
    skipped: list[str]


def total_steps(config: TrialConfig, parent: TrialConfig | None) -> int:
    """The steps of an evaluation: its own where it tunes, otherwise those behind the weights."""
    if config.evaluate.protocol in protocols.TUNES:
        return config.tune.steps
    return parent.train.steps if parent else 1


def examine(
    config: TrialConfig,
    runtime: RuntimeConfig,
    *,
    parent: Parent | None,
    done: Mapping[str, Mapping[str, float]],
    callbacks: RunCallbacks,
    checkpoints: CheckpointFolder | None = None,
    pictures: Path | None = None,
) -> Finished | Preempted:
    """Evaluates the weights to the end, or until `callbacks.should_stop` names a signal; emits and returns the end.

    `done` holds the metrics of protocols that earlier attempts recorded. `checkpoints` are this trial's own, required
    where it tunes; `pictures` is the folder for images that a protocol draws.

    Raises:
        ConfigError: no such protocol, networks that are not those of the parent, or settings that do not fit.
        CheckpointError: the parent has no whole checkpoint of its last step.
        DataError: images that cannot be read.
    """
    protocols.check(config.evaluate.protocol)
    device = numerics.device(runtime)
    with numerics.arithmetic(config.train, device=device, thrift=THRIFT):
        given = _given(config, runtime, parent=parent, device=device, pictures=pictures)
        if config.evaluate.protocol in protocols.TUNES:
            assert checkpoints is not None
            learner, config = protocols.TUNES[config.evaluate.protocol](given.subject), given.subject.config
            end = tuning.tune(
                learner, config, runtime, device=device, checkpoints=checkpoints, done=done, callbacks=callbacks
            )
        else:
            end = _measure(given, done=done, callbacks=callbacks)
    callbacks.emit(end)
    return end


def _given(
    config: TrialConfig, runtime: RuntimeConfig, *, parent: Parent | None, device: torch.device, pictures: Path | None
) -> Given:
    """The networks under test, on the device."""
    if parent is None:
        return _public(config, runtime, device=device, pictures=pictures)
    check_networks(config, parent=parent.config, name=config.pretrain)
    trained, skipped = final_state(config, parent=parent, device=device, weights_file=runtime.weights_file)
    subject = Subject(
        config=config,
        networks=trained.networks,
        target=trained.target,
        device=device,
        data_root=runtime.data_root,
        pictures=pictures,
    )
    return Given(subject=subject, step=trained.step, weights_sha256=weights_sha256(trained), skipped=skipped)


def _public(config: TrialConfig, runtime: RuntimeConfig, *, device: torch.device, pictures: Path | None) -> Given:
    """A timm model in the place of networks."""
    if not config.evaluate.protocol:
        raise ConfigError(f"pretrain={config.pretrain} needs evaluate.protocol, one that tests an encoder")
    networks = public(config, weights_file=runtime.weights_file).to(device)
    target = MovingAverage(networks.encoder, normalise=False)
    subject = Subject(
        config=replace(config, target="ema"),
        networks=networks,
        target=target,
        device=device,
        data_root=runtime.data_root,
        pictures=pictures,
    )
    return Given(subject=subject, step=1, weights_sha256=sha256_of(networks.state_dict()), skipped=[])


def check_networks(config: TrialConfig, *, parent: TrialConfig, name: str) -> None:
    """Refuses an evaluation whose networks are not those that the parent, called `name`, trained.

    Raises:
        ConfigError: names the first setting that differs.
    """
    ours, theirs = flatten(to_dict(config)), flatten(to_dict(parent))
    for key, value in ours.items():
        if (key in NETWORKS or key.partition(".")[0] in NETWORKS) and value != theirs[key]:
            raise ConfigError(
                f"{key} is {value} here and {theirs[key]} in trial {name}, whose weights it evaluates: an "
                "evaluation must use the networks of its parent"
            )


def final_state(
    config: TrialConfig, *, parent: Parent, device: torch.device = CPU, weights_file: str = ""
) -> tuple[TrainState, list[str]]:
    """The networks as the parent left them after its last step; and a sentence per checkpoint that was not usable.

    `weights_file` holds the weights of the teacher, where it had one.

    Raises:
        CheckpointError: there is no whole checkpoint of that step, or it holds other weights than it finished with.
    """
    payload, step, skipped = parent.checkpoints.newest()
    last, folder = parent.config.train.steps, parent.checkpoints.path
    if payload is None or step != last:
        found = f"the newest valid one is of step {step}" if payload else "no checkpoint is valid"
        raise CheckpointError(
            f"trial {config.pretrain} has no checkpoint of its last step {last} in {folder}: {found}. Finish it "
            "before evaluating its weights.",
            setting="pretrain",
            value=config.pretrain,
            path=folder,
        )
    trained = state.build(config, device=device, weights_file=weights_file)
    trained.networks.load_state_dict(payload["world_model"])
    trained.target.load_state_dict(payload["target"])
    trained.step = step
    if parent.weights_sha256 and weights_sha256(trained) != parent.weights_sha256:
        raise CheckpointError(
            f"the checkpoint of step {step} in {folder} does not hold the weights that the trial finished with"
        )
    return trained, skipped


def _measure(given: Given, *, done: Mapping[str, Mapping[str, float]], callbacks: RunCallbacks) -> Finished | Preempted:
    """Every protocol that is not done yet: the one that is named, or those at the end of pretraining."""
    subject, metrics = given.subject, dict[str, float]()
    config, named = subject.config, subject.config.evaluate.protocol
    images = load(config.data, split="train", root=subject.data_root)
    if named and named not in protocols.WITHOUT_CLASSES:
        check_classes(images, protocol=named)
    fingerprint = numerics.fingerprint(config, device=subject.device) | {"images": images.digest}
    callbacks.on_start(given.step, given.skipped, fingerprint)
    measures = {named: protocols.MEASURES[named]} if named else protocols.AT_THE_END
    for name, measure in measures.items():
        if name in done:
            metrics |= done[name]
            continue
        if signal := callbacks.should_stop():
            return Preempted(step=given.step, signal=signal)
        measured = protocols.measured(measure, subject)
        callbacks.emit(Evaluated(step=given.step, protocol=name, metrics=measured))
        metrics |= measured
    return Finished(step=given.step, weights_sha256=given.weights_sha256, metrics=metrics)
