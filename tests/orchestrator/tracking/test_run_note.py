from dataclasses import replace

from orchestrator.tracking.run_note import note
from orchestrator.trial.lifecycle import State
from orchestrator.trial.sweep import SweepRecord, command
from tests.orchestrator.tracking.test_run_card import attempt, place, shipment


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
