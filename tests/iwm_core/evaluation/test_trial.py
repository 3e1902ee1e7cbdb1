"""A trial that evaluates the final weights of another one: the same events, its weights, and nothing trained."""

import dataclasses

import pytest

from iwm_core.config import (
    ConditioningConfig,
    DataConfig,
    EncoderConfig,
    EvaluateConfig,
    PredictorConfig,
    RuntimeConfig,
    TrainConfig,
    TrialConfig,
)
from iwm_core.errors import CheckpointError, ConfigError
from iwm_core.evaluation.protocols import AT_THE_END
from iwm_core.evaluation.trial import Parent, examine
from iwm_core.events import Evaluated, Finished, Preempted, RunCallbacks
from iwm_core.pretrain import train
from iwm_core.training.checkpoint import CheckpointFolder

TRAINED = TrialConfig(
    data=DataConfig(kind="random", random_images=32, image_size=16, stored_size=20),
    encoder=EncoderConfig(patch_size=4, width=16, depth=1),
    predictor=PredictorConfig(width=16, depth=1),
    train=TrainConfig(steps=4, batch_size=8, log_every=2),
    evaluate=EvaluateConfig(bank_size=4, bank_images=2, probe_train_images=24, probe_test_images=24),
)
RUNTIME = RuntimeConfig(device="cpu", checkpoint_every_steps=2)
AGAIN = dataclasses.replace(TRAINED, pretrain="0123456789abcdef")
LARGER = dataclasses.replace(AGAIN, evaluate=dataclasses.replace(TRAINED.evaluate, bank_size=8))


def never():
    return None


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A parent that has finished: its checkpoints, what it said last, and what it measured."""
    checkpoints, events = CheckpointFolder(tmp_path_factory.mktemp("parent")), []
    end = train(
        TRAINED,
        RUNTIME,
        checkpoints=checkpoints,
        callbacks=RunCallbacks(emit=events.append),
    )
    measured = {event.protocol: event.metrics for event in events if isinstance(event, Evaluated)}
    assert isinstance(end, Finished)
    return Parent(config=TRAINED, checkpoints=checkpoints, weights_sha256=end.weights_sha256), measured


def evaluation(config, parent, *, done=None, should_stop=never):
    events, starts = [], []
    end = examine(
        config,
        RUNTIME,
        parent=parent,
        done=done or {},
        callbacks=RunCallbacks(emit=events.append, should_stop=should_stop, on_start=lambda *said: starts.append(said)),
    )
    return end, events, starts


def test_the_same_protocols_give_what_the_parent_gave_itself(trained):
    parent, measured = trained
    end, events, starts = evaluation(AGAIN, parent)
    assert {event.protocol: event.metrics for event in events[:-1]} == measured
    assert [event.step for event in events] == [4] * 3
    assert (end, events[-1].weights_sha256) == (events[-1], parent.weights_sha256)
    ((step, skipped, fingerprint),) = starts
    assert (step, skipped, fingerprint["threads"]) == (4, [], 1)


def test_it_measures_with_its_own_settings_and_writes_nothing(trained):
    parent, measured = trained
    before = sorted(parent.checkpoints.path.iterdir())
    end, _, _ = evaluation(LARGER, parent)
    assert isinstance(end, Finished)
    assert end.metrics["mrr_floor"] != measured["mrr"]["mrr_floor"]
    assert sorted(parent.checkpoints.path.iterdir()) == before


def test_interrupted_it_goes_on_with_what_was_not_measured(trained):
    parent, _ = trained
    whole, _, _ = evaluation(LARGER, parent)
    asked = iter([None, "SIGTERM"])
    stopped, said, _ = evaluation(LARGER, parent, should_stop=lambda: next(asked))
    assert stopped == Preempted(step=4, signal="SIGTERM")
    done = {event.protocol: event.metrics for event in said if isinstance(event, Evaluated)}
    assert list(done) == list(AT_THE_END)[:1]
    end, events, _ = evaluation(LARGER, parent, done=done)
    assert [event.protocol for event in events[:-1]] == list(AT_THE_END)[1:]
    assert end == whole
    assert isinstance(end, Finished)


def test_a_parent_that_has_not_finished_is_refused(trained, tmp_path):
    longer = dataclasses.replace(TRAINED, train=dataclasses.replace(TRAINED.train, steps=9))
    unfinished = dataclasses.replace(trained[0], config=longer)
    with pytest.raises(CheckpointError, match="step 9"):
        evaluation(AGAIN, unfinished)
    with pytest.raises(CheckpointError, match=str(tmp_path)):
        evaluation(AGAIN, Parent(config=TRAINED, checkpoints=CheckpointFolder(tmp_path)))


def test_weights_that_are_not_those_it_finished_with_are_refused(trained):
    with pytest.raises(CheckpointError, match="step 4"):
        evaluation(AGAIN, dataclasses.replace(trained[0], weights_sha256="ab" * 32))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"encoder": EncoderConfig(patch_size=4, width=32, depth=1)}, "encoder.width is 32 here and 16"),
        ({"conditioning": ConditioningConfig(kind="none")}, "conditioning.kind is none here and feature"),
        ({"data": dataclasses.replace(TRAINED.data, image_size=24)}, "data.image_size is 24 here and 16"),
    ],
)
def test_other_networks_are_refused(trained, change, said):
    with pytest.raises(ConfigError, match=said):
        evaluation(dataclasses.replace(AGAIN, **change), trained[0])
