"""The slot keeper: a detached process that keeps this machine's slots filled.

    read statuses -> reconcile -> start a worker in every free slot -> sleep, until there is no work

It holds no state: if it is killed, the next keeper continues from the files, and running workers are not affected.
"""

import logging
import sys
import time
from dataclasses import dataclass, field

from orchestrator.host.locks import holding, is_held
from orchestrator.host.signals import StopFlag, stop_flag
from orchestrator.launching import dependency, slots
from orchestrator.launching.slots import LocalJob, gpu_of_slot
from orchestrator.records import journal
from orchestrator.records.layout import Layout, TrialFolder
from orchestrator.records.scan import Census
from orchestrator.trial.events import Claimed, Submitted
from orchestrator.trial.launchers import LOCAL
from orchestrator.trial.lifecycle import TrialStatus
from orchestrator.trial.sweep import Resources

log = logging.getLogger(__name__)
TICK_S = 0.5


@dataclass
class Keeper:
    """Fills the slots of one root on one machine."""

    layout: Layout
    jobs: list[LocalJob] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.census = Census(self.layout)

    def tick(self) -> bool:
        """One round; False when nothing is left to do."""
        self.jobs = [job for job in self.jobs if not job.done()]
        statuses = self.census.look()
        while slots.reconcile(self.layout, statuses):  # a lost trial is claimed again before its slot goes elsewhere
            statuses = self.census.look()
        self._fill_slots(statuses)
        return bool(self.jobs) or slots.has_work(self.layout, statuses)

    def _fill_slots(self, statuses: dict[str, TrialStatus]) -> None:
        queue = self._queue(statuses)
        for slot in range(Resources.of(queue[0][1].resources).slots if queue else 0):
            if queue and self._is_free(slot):
                self._start(*queue.pop(0), slot=slot)

    def _queue(self, statuses: dict[str, TrialStatus]) -> list[tuple[TrialFolder, Claimed]]:
        """Claims without a job and without an unfinished parent: restarts first, then first come, first served."""
        found = []
        for trial_id in statuses.keys() - dependency.waiting(self.layout, statuses):
            folder, status = self.layout.trial(trial_id), statuses[trial_id]
            if status.launcher == LOCAL and slots.is_ours(status) and (claim := slots.waiting(folder, status)):
                found.append((folder, claim))
        return sorted(found, key=lambda item: (not item[1].claim, item[1].t, item[0].id))

    def _is_free(self, slot: int) -> bool:
        return all(job.slot != slot for job in self.jobs) and not is_held(self.layout.slot_lock(slot))

    def _start(self, folder: TrialFolder, claim: Claimed, *, slot: int) -> None:
        gpu = gpu_of_slot(slot, gpus=Resources.of(claim.resources).gpus)
        job = LocalJob(folder, slot=slot, slot_lock=self.layout.slot_lock(slot), token=claim.token, gpu=gpu)
        self.jobs.append(job)
        journal.record(folder, Submitted(claim=claim.claim, job_id=job.job_id))
        log.info("slot %d: trial %s, claim %d, process %s", slot, folder.id, claim.claim, job.job_id)


def keep(layout: Layout, *, stop: StopFlag) -> None:
    """Runs until there is no work, or a signal."""
    keeper = Keeper(layout)
    while not stop():
        with holding(layout.keeper_lock) as ours:
            if not ours:
                return
            while not stop() and keeper.tick():
                time.sleep(TICK_S)
        if not slots.has_work(layout, keeper.census.look()):  # checked again: a claim may have come under the lock
            return


def main() -> None:
    """`python -m orchestrator.launching.keeper ROOT`"""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    with stop_flag() as stop:
        keep(Layout.of(sys.argv[1]), stop=stop)


if __name__ == "__main__":
    main()
