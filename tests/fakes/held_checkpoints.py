"""A folder of checkpoints that writes only when it is let."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from iwm_core.training.checkpoint import CheckpointFolder


class Held(CheckpointFolder):
    """`let` is set to let it write."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.let = threading.Event()

    def save(self, payload: Mapping[str, Any], *, step: int) -> Any:
        assert self.let.wait(timeout=60)
        return super().save(payload, step=step)
