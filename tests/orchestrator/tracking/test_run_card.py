"""What MLflow is told of a trial."""

import math
from dataclasses import replace

import pytest

from orchestrator.store.rows import Shipment
from orchestrator.tracking.run_card import note, row, run_card, safe_key, sweep_tag
from orchestrator.trial.lifecycle import Attempt, Point, State, TrialStatus
from orchestrator.trial.sweep import Member, SweepRecord, command

CPU = {"device": "cpu", "deterministic": True}


def attempt(number, end=None, fingerprint=CPU, **more):
    begun = {"started_t": 10.0 + number, "last_t": 20.5 + number, "total_steps": 100}
    return Attempt(number=number, end=end, fingerprint=fingerprint, **begun, **more)


ONE = (attempt(0),)


def shipment(state=State.RUNNING, attempts=ONE, sweeps=(), config=None, launcher="local"):
    return Shipment(
        id="0123456789abcdef",
        config=config or {"seed": 3},
        status=TrialStatus(state=state, attempts=attempts, job_id="local-1", launcher=launcher),
        signature="",
        sweeps=sweeps,
        run_id="",
        sent_id=0,
        run_is_stale=False,
    )


def place(name, sweep_id, **overrides):
    return SweepRecord(id=sweep_id, name=name, axes=tuple(overrides), t=0.0, trials=()), Member("", overrides)


def test_there_is_no_run_before_the_first_attempt():
    assert run_card(shipment(State.QUEUED, attempts=())) is None


@pytest.mark.parametrize(
    ("state", "status", "end_ms"),
    [
        (State.QUEUED, "SCHEDULED", None),
        (State.PREEMPTED, "SCHEDULED", None),
        (State.HELD, "SCHEDULED", None),
        (State.RUNNING, "RUNNING", None),
        (State.FINISHED, "FINISHED", 21500),
        (State.FAILED, "FAILED", 21500),
        (State.CANCELLED, "KILLED", 21500),
    ],
)
def test_the_status_follows_the_fold(state, status, end_ms):
    card = run_card(shipment(state, attempts=(attempt(0, "preempted"), attempt(1))))
    assert card is not None
    assert (card.status, card.start_ms, card.end_ms) == (status, 10000, end_ms)


def test_parameters_are_the_flat_configuration_cut_to_size():
    card = run_card(shipment(config={"seed": 3, "train.deterministic": None, "data.dataset": "x" * 7000}))
    assert card is not None
    assert card.params == {"seed": "3", "train.deterministic": "None", "data.dataset": "x" * 6000}


def test_tags_say_where_it_belongs_and_how_it_went():
    sweeps = (place("depth", "depth-1", seed=3), place("depth", "depth-2"), place("all", "all-1", **{"a.b": 2}))
    attempts = (
        attempt(0, "preempted", step=70),
        attempt(1, resumed_from_step=50, host="n2", provenance={"commit": "c0"}),
    )
    card = run_card(shipment(attempts=attempts, sweeps=sweeps))
    assert card is not None
    assert card.tags == {
        "iwm.trial_id": "0123456789abcdef",
        "iwm.sweep": "depth, all",
        "iwm.sweep.depth": "depth-1 depth-2",
        "iwm.sweep.all": "all-1",
        "axis.seed": "3",
        "axis.a.b": "2",
        "state": "running",
        "commit": "c0",
        "host": "n2",
        "job": "local-1",
        "attempts": "2",
        "preemptions": "1",
        "repeated_steps": "20",
        "identity": "exact",
        "gpu_hours": "0.0000",
    }


def test_what_slurm_says_is_told_while_it_holds_and_then_taken_back():
    waiting = shipment(State.PREEMPTED, attempts=(attempt(0, "preempted"),), launcher="slurm")
    told = run_card(waiting, seen={"state": "PENDING", "reason": "Priority"}, note="why")
    assert told is not None
    assert (told.tags["slurm_state"], told.tags["pending_reason"]) == ("PENDING", "Priority")
    assert told.tags["mlflow.note.content"] == "why"
    over = run_card(shipment(State.FINISHED, launcher="slurm"), seen={"state": "RUNNING"})
    assert over is not None
    assert (over.tags["slurm_state"], over.tags["pending_reason"]) == ("", "")


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        ({}, "seed=3 01234567"),
        ({"conditioning": "none", "predictor.depth": 6}, "conditioning=none depth=6"),
        ({"encoder.depth": 2, "predictor.depth": 6}, "encoder.depth=2 predictor.depth=6"),
    ],
)
def test_names_are_readable(overrides, name):
    sweeps = (place("s", "s-1", **overrides),) if overrides else ()
    card = run_card(shipment(sweeps=sweeps))
    assert card is not None
    assert card.name == name


@pytest.mark.parametrize(
    ("key", "safe"),
    [
        ("val/loss", "val/loss"),
        ("h@1", "h_1"),
        ("a//b", "a__b"),
        ("/a", "_a"),
        ("../a", "_._a"),
        (".", "_"),
        ("x" * 300, "x" * 250),
    ],
)
def test_keys_are_made_acceptable(key, safe):
    assert safe_key(key) == safe


def test_a_sweeps_tag_is_acceptable_too():
    assert sweep_tag("my sweep?") == "iwm.sweep.my sweep_"


@pytest.mark.parametrize(
    ("value", "spelled"),
    [(0.1, "0.1"), (1, "1.0"), (math.nan, "nan"), (math.inf, "1.7976931348623157e+308")],
)
def test_a_point_is_identified_as_mlflow_does(value, spelled):
    point = Point(key="h@1", step=5, value=value, t=1.0005, attempt=3)
    assert row(point) == ("h_1", 5, 1000, spelled)


def test_a_sign_that_a_database_refuses_is_left_out():
    card = run_card(shipment(attempts=(attempt(0),)), note="before\0after")
    assert card is not None
    assert card.tags["mlflow.note.content"] == "beforeafter"


def test_a_note_says_what_made_the_trial_and_how_to_make_it_again():
    sweeps = (place("depth", "depth-1", **{"predictor.depth": 2}),)
    ran = (attempt(0, checkpoint_step=50),)
    log = ("1.err", "a\nb")
    text = note(shipment(State.FAILED, attempts=ran, sweeps=sweeps), folder="/runs/t", log=log, pages=True)
    assert "**failed**" in text
    assert "(/iwm/trials/0123456789abcdef)" in text
    assert "| `predictor.depth` | `2` |" in text
    assert "\n    iwm submit depth predictor.depth=2" in text
    assert "Checkpoints: `/runs/t/checkpoints`" in text
    assert text.endswith("End of `1.err`\n\n    a\n    b")


def test_a_note_stays_as_it_is_while_the_trial_runs():
    ran = {"early": shipment(attempts=(attempt(0, step=1),)), "late": shipment(attempts=(attempt(0, step=2),))}
    assert len({note(one, folder="f", log=("l", said), pages=True) for said, one in ran.items()}) == 1


def test_no_word_of_others_breaks_out_of_its_place():
    sweeps = (place("a`b", "a|b", **{"x": "`|\n<b>"}),)
    text = note(shipment(State.FAILED, sweeps=sweeps), folder="/runs/t", pages=False)
    assert "| `x` | `'/ <b>` |" in text
    assert "/iwm/" not in text


RECORD = SweepRecord(id="toy-1", name="toy", axes=(), t=0.0, trials=(), fixed=("train.steps=5",))


def test_the_command_is_quoted_for_a_shell():
    said = command(RECORD, {"data.dataset": "my images", "predictor.depth": 2})
    assert said == "iwm submit toy train.steps=5 'data.dataset=my images' predictor.depth=2"


def test_an_evaluation_by_itself_is_asked_for_by_its_own_verb():
    ours = replace(RECORD, name="evaluate-0123abcd-knn", fixed=("pretrain=0123abcd01234567",))
    said = command(ours, {"evaluate.protocol": "knn", "evaluate.neighbours": 5})
    assert said == "iwm evaluate 0123abcd01234567 knn evaluate.neighbours=5"
    public = replace(RECORD, name="evaluate-vit_tiny-linear", fixed=())
    said = command(public, {"pretrain": "timm:vit_tiny", "evaluate.protocol": "linear"})
    assert said == "iwm evaluate timm:vit_tiny linear"
