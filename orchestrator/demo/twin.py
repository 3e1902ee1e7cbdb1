"""An uninterrupted twin of a trial: the same value, trained from its first step to its last under a root of its own."""

import shutil
from dataclasses import replace

from rich.console import Console

from iwm_core.events import Finished
from orchestrator.launching.foreground import train_here
from orchestrator.records.layout import Layout, sqlite_url
from orchestrator.records.scan import Census
from orchestrator.trial.lifecycle import State
from orchestrator.trial.sweep import Cell


def train_twin(layout: Layout, victim: Cell, *, say: Console) -> str:
    """Trains the victim's twin in this process, under a root of its own, from its first step to its last; its weights.

    Raises:
        KeyboardInterrupt: it was interrupted; a twin that was is begun anew the next time.
    """
    root = layout.root / "twin"
    alone = replace(layout, root=root, state=root, database_url=sqlite_url(root / "orchestrator.db"))
    say.print(f"training an uninterrupted twin of {victim.trial.id[:8]}")
    status = Census(alone).status(victim.trial.id)
    if len(status.attempts) > 1 or status.state is not State.FINISHED:
        shutil.rmtree(root, ignore_errors=True)
    ended = train_here(alone, victim).event
    if not isinstance(ended, Finished):
        raise KeyboardInterrupt
    return ended.weights_sha256
