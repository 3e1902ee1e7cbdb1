"""Tuning: the same bits however often it is stopped."""

import contextlib
import dataclasses

import pytest
import torch

from iwm_core.config import RuntimeConfig, TuneConfig
from iwm_core.errors import NonFiniteLossError
from iwm_core.evaluation import protocols
from iwm_core.evaluation.tuning import lr_at, tune
from iwm_core.events import Checkpoint, Evaluated, Finished, Preempted, RunCallbacks, Step, is_telemetry
from iwm_core.training.checkpoint import CheckpointFolder

RUNTIME = RuntimeConfig(device="cpu", checkpoint_every_steps=4)


class KilledError(Exception):
    """Stands for SIGKILL."""


def attempt(subject, folder, *, number=0, stop_at=None, kill_at=None, done=None):
    """One attempt at tuning: how it ended, what it said, where it began."""
    events, starts, asked = [], [], 0

    def should_stop():
        nonlocal asked
        asked += 1
        if asked == kill_at:
            raise KilledError
        return "SIGTERM" if asked == stop_at else None

    end = None
    with contextlib.suppress(KilledError):
        end = tune(
            protocols.TUNES[subject.config.evaluate.protocol](subject),
            subject.config,
            RUNTIME,
            device=subject.device,
            checkpoints=CheckpointFolder(folder, attempt=number),
            done=done or {},
            callbacks=RunCallbacks(
                emit=events.append, should_stop=should_stop, on_start=lambda *said: starts.append(said)
            ),
        )
    return end, events, starts


def said(events):
    """Everything but the wall clock's."""
    steps = {e.step: {k: v for k, v in e.metrics.items() if not is_telemetry(k)} for e in events if isinstance(e, Step)}
    return steps, [event for event in events if isinstance(event, Evaluated)]


def mixing(config):
    tuned = dataclasses.replace(config.tune, mixup=0.8, cutmix=1.0, label_smoothing=0.1, layer_decay=0.7)
    return dataclasses.replace(config, tune=tuned)


@pytest.mark.parametrize("protocol", ["attentive", "predictor_finetune", "end_to_end", "multitask", "segmentation"])
def test_stopped_or_killed_and_resumed_it_ends_with_the_same_bits(protocol, small, subject, tmp_path):
    config = mixing(small)
    if protocol in ("segmentation", "multitask"):
        config = dataclasses.replace(config, data=dataclasses.replace(config.data, kind="digits_on_photos"))
    tested = subject(config, protocol=protocol)
    whole, events, ((began, _, fingerprint),) = attempt(tested, tmp_path / "whole")
    assert isinstance(whole, Finished)
    assert (began, fingerprint["threads"], whole.step) == (0, 1, 6)

    stopped, first, _ = attempt(tested, tmp_path / "cut", stop_at=3)
    assert stopped == Preempted(step=3, signal="SIGTERM")
    killed, second, ((began, *_),) = attempt(tested, tmp_path / "cut", number=1, kill_at=2)
    assert (killed, began) == (None, 3)
    again, third, ((began, *_),) = attempt(tested, tmp_path / "cut", number=2)
    assert began == 4
    assert again == whole
    steps, evaluated = said([*first, *second, *third])
    assert (steps, evaluated) == said(events)


def test_it_says_steps_and_checkpoints_and_scores_once(small, subject, tmp_path):
    end, events, _ = attempt(subject(small, protocol="attentive"), tmp_path)
    assert isinstance(end, Finished)
    assert [event.step for event in events if isinstance(event, Step)] == [2, 4, 6]
    assert [event.step for event in events if isinstance(event, Checkpoint)] == [4, 6]
    (evaluated,) = (event for event in events if isinstance(event, Evaluated))
    assert (evaluated.step, evaluated.protocol) == (6, "attentive")
    assert evaluated.metrics.items() <= end.metrics.items()
    assert {"loss", "random_loss"} <= set(end.metrics)
    done = {"attentive": {"attentive_top1": 2.0}}
    again, events, ((began, *_),) = attempt(subject(small, protocol="attentive"), tmp_path, number=1, done=done)
    assert isinstance(again, Finished)
    assert (began, events, again.metrics["attentive_top1"]) == (6, [], 2.0)


def test_the_frozen_encoder_stays_and_what_is_tuned_moves(small, subject, tmp_path):
    tested = subject(small, protocol="attentive")
    before = {name: value.clone() for name, value in tested.encoder.state_dict().items()}
    attempt(tested, tmp_path)
    assert all(torch.equal(value, before[name]) for name, value in tested.encoder.state_dict().items())


def test_a_loss_that_is_not_a_number_ends_it(small, subject, tmp_path):
    tested = subject(small, protocol="attentive")
    with torch.no_grad():
        tested.encoder.vit.norm.weight.fill_(float("nan"))
    with pytest.raises(NonFiniteLossError):
        attempt(tested, tmp_path)


def test_the_rate_warms_up_and_falls_to_nothing():
    tune = TuneConfig(steps=100, lr=1.0, warmup_ratio=0.1)
    rates = [lr_at(tune, step=step) for step in range(100)]
    assert rates[0] == pytest.approx(1 / 11)
    assert rates[10] == 1.0 == max(rates)
    assert rates[55] == pytest.approx(0.5)
    assert 0 < rates[99] < 1e-3
