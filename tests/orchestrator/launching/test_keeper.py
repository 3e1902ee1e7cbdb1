"""The queue of the slots, without starting anything."""

from orchestrator.host import provenance
from orchestrator.host.locks import holding
from orchestrator.host.signals import StopFlag
from orchestrator.launching.keeper import Keeper, keep
from orchestrator.records import journal
from orchestrator.trial.events import Claimed


def queue(on_disk, **claims):
    for seed, (_, t) in enumerate(claims.values()):
        folder = on_disk.trial(seed)
        for number in range(1, claims[f"s{seed}"][0] + 1):
            event = Claimed(claim=number, launcher="local", host=provenance.host(), t=t)
            journal.claim(folder, event)
    keeper = Keeper(on_disk.layout)
    return keeper, [folder.id for folder, _ in keeper._queue(keeper.census.look())]


def test_first_come_first_served(on_disk):
    _, order = queue(on_disk, s0=(1, 30.0), s1=(1, 10.0), s2=(1, 20.0))
    ids = [on_disk.layout.trial(key).id for key in order]
    assert ids == [trial_id(on_disk, seed) for seed in (1, 2, 0)]


def trial_id(on_disk, seed):
    return on_disk.trial(seed).id


def test_a_slot_is_free_when_nobody_holds_it(on_disk):
    keeper, _ = queue(on_disk)
    with holding(on_disk.layout.slot_lock(0)):
        assert not keeper._is_free(0)
        assert keeper._is_free(1)


def test_without_work_the_keeper_ends(on_disk):
    on_disk.layout.root.mkdir(parents=True, exist_ok=True)
    keep(on_disk.layout, stop=StopFlag())
    assert not on_disk.layout.trials.exists()


def test_a_second_keeper_ends_at_once(on_disk):
    queue(on_disk, s0=(1, 1.0))
    with holding(on_disk.layout.keeper_lock):
        keep(on_disk.layout, stop=StopFlag())
    assert len(journal.read_control(on_disk.trial(0))) == 2
