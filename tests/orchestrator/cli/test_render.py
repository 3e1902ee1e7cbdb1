"""Tables of many trials stay short and show the trials that may need a person."""

import io

import pytest
from rich.console import Console

from orchestrator.cli import render, watching
from orchestrator.trial.lifecycle import Attempt, State, TrialStatus
from tests.fakes import results as made


def shown(trials, *, many, limit):
    console = Console(file=io.StringIO(), width=120)
    console.print(render.status_table(made.results(trials, axes=["lr"]), many=many, limit=limit))
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


def trial(place, state):
    return made.trial({"lr": place}, status=TrialStatus(state=state))


def test_a_short_table_has_every_trial():
    trials = [trial(place, State.FINISHED) for place in range(3)]
    lines = shown(trials, many=3, limit=2)
    assert [line.split()[0] for line in lines[2:]] == [item.id[:8] for item in trials]


def test_a_long_one_shows_first_what_went_wrong_and_says_how_many_it_does_not():
    states = [State.FINISHED, State.RUNNING, State.FINISHED, State.FAILED, State.QUEUED]
    trials = [trial(place, state) for place, state in enumerate(states)]
    lines = shown(trials, many=4, limit=2)
    assert [line.split()[0] for line in lines[2:4]] == [trials[1].id[:8], trials[3].id[:8]]
    assert lines[4].strip().startswith("... 3 more")
    assert "2 finished" in lines[0]


@pytest.mark.parametrize("order", [render.FIRST_SHOWN, watching.FIRST])
def test_every_state_has_its_place(order):
    assert set(order) == {state.value for state in State}


def test_a_mixture_of_code_is_noted():
    ran = [
        Attempt(number=number, total_steps=9, provenance={"core_sha256": source}) for number, source in enumerate("aba")
    ]

    def note(*attempts):
        return render.note(made.trial({"lr": 0}, status=TrialStatus(state=State.FINISHED, attempts=attempts)))

    assert "attempts ran different code" in note(*ran)
    assert "attempts ran different code" not in note(ran[0], ran[2])
