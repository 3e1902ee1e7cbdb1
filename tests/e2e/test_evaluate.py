"""Evaluating a trial on this machine: it waits for the trial without a slot, and measures the weights it ended with."""

from iwm_core.events import Started
from orchestrator.records import journal
from orchestrator.trial.lifecycle import State
from tests.e2e.conftest import until
from tests.fakes.tiny import TINY


def test_an_evaluation_starts_when_its_trial_has_finished_and_is_reused(iwm):
    (parent,) = [trial["id"] for trial in iwm.json("submit", "pair", "conditioning=none", "train.steps=40")["trials"]]
    told = iwm.json("evaluate", parent[:8], "evaluate.bank_size=6")
    (evaluation,) = [trial["id"] for trial in told["trials"]]
    assert (told["counts"]["submit"], told["sweep"]) == (1, f"evaluate-{parent[:8]}")
    if iwm.status(parent).state is not State.FINISHED:
        assert iwm.status(evaluation).may_wait
    until(lambda: iwm.status(evaluation).state is State.FINISHED)
    ours, theirs = iwm.status(evaluation), iwm.status(parent)
    assert (ours.weights_sha256, ours.step) == (theirs.weights_sha256, 40)
    assert ours.metrics["mrr_floor"] > theirs.metrics["mrr_floor"]
    assert ours.metrics["linear_probe_top1"] == theirs.metrics["linear_probe_top1"]
    assert ours.attempts[0].started_t >= theirs.attempts[-1].last_t
    assert isinstance(journal.read_journals(iwm.layout.trial(evaluation))[0][0], Started)
    again = iwm.json("evaluate", parent[:8], "evaluate.bank_size=6")
    assert (again["counts"]["reuse"], again["jobs"], again["sweep_id"]) == (1, [], told["sweep_id"])


def test_what_waits_for_a_cancelled_trial_says_so_holds_nothing_and_starts_when_that_is_resumed(iwm):
    (parent,) = [trial["id"] for trial in iwm.json("submit", "pair", "conditioning=none", "train.steps=40")["trials"]]
    assert iwm.json("cancel", parent) == {"cancelled": [parent]}
    (evaluation,) = [trial["id"] for trial in iwm.json("evaluate", parent[:8])["trials"]]
    table = " ".join(iwm.run("status", f"evaluate-{parent[:8]}").split())
    assert f"waits for {parent[:8]}, which was cancelled: iwm resume {parent[:8]}" in table
    assert iwm.json("resume", parent) == {"resumed": [parent]}
    until(lambda: iwm.status(evaluation).state is State.FINISHED)
    assert iwm.status(evaluation).weights_sha256 == iwm.status(parent).weights_sha256


def test_an_evaluation_has_the_networks_of_its_trial(iwm):
    ended = iwm.json("train", *TINY, "train.steps=2")
    (parent,) = [path.name for path in iwm.layout.trials.iterdir()]
    iwm.run("evaluate", parent[:8], "encoder.width=32", code=2)
    iwm.run("evaluate", parent[:8], "evaluate.bank_size=4,8", code=2)
    assert ended["step"] == 2
