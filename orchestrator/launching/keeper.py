"""The slot keeper: a detached process that keeps this machine's slots filled.

    read statuses -> reconcile -> start a worker in every free slot -> sleep, until there is no work

It holds no state: if it is killed, the next keeper continues from the files, and running workers are not affected.
"""

import logging
import sys
import time
from typing import TYPE_CHECKING

from orchestrator.host import environment
from orchestrator.host.locks import holding, is_held
from orchestrator.host.signals import StopFlag, stop_flag
from orchestrator.launching import dependency, slots
from orchestrator.launching.slots import gpu_of_slot
from orchestrator.records import journal
from orchestrator.records.layout import Layout, TrialFolder
from orchestrator.records.scan import Census
from orchestrator.trial.events import Claimed, Submitted
from orchestrator.trial.launchers import LOCAL, SLOT, TOKEN
from orchestrator.trial.lifecycle import TrialStatus
from orchestrator.trial.sweep import Resources

if TYPE_CHECKING:
    import submitit

log = logging.getLogger(__name__)
TICK_S = 0.5
FOREVER_MIN = 60 * 24 * 365
"""The time limit that submitit's local executor requires; the local launcher has none."""


class Keeper:
    """Fills the slots of one root on one machine. `jobs` has the workers that this process started, by slot."""

    def __init__(self, layout: Layout) -> None:
        self.layout, self.census = layout, Census(layout)
        self.jobs: dict[int, submitit.Job[str]] = {}

    def tick(self) -> bool:
        """One round; False when nothing is left to do."""
        self.jobs = {slot: job for slot, job in self.jobs.items() if not job.done()}
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
        return slot not in self.jobs and not is_held(self.layout.slot_lock(slot))

    def _start(self, folder: TrialFolder, claim: Claimed, *, slot: int) -> None:
        import submitit

        from orchestrator.worker.workers import GPU, Worker

        executor = submitit.LocalExecutor(folder=folder.logs)
        executor.update_parameters(timeout_min=FOREVER_MIN, tasks_per_node=1)
        gpu = gpu_of_slot(slot, gpus=Resources.of(claim.resources).gpus)
        with environment.changed({TOKEN: claim.token, SLOT: str(self.layout.slot_lock(slot)), GPU: gpu}):
            job = self.jobs[slot] = executor.submit(Worker(folder.path))
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
