"""What SLURM last reported of each live job, by trial id: `state`, `reason`, `node`. A cache for tables.

{"0123456789abcdef": {"state": "PENDING", "reason": "Resources", "node": ""}}
"""

import json
from collections.abc import Mapping

from orchestrator.records import journal
from orchestrator.records.layout import Layout

Seen = Mapping[str, Mapping[str, str]]


def read(layout: Layout) -> dict[str, dict[str, str]]:
    """The last report; empty if there is none or it cannot be read."""
    try:
        return json.loads(layout.slurm_seen.read_bytes())
    except (OSError, ValueError):
        return {}


def write(layout: Layout, seen: Seen) -> None:
    """Replace the last report.

    Raises:
        OSError: the file cannot be written.
    """
    journal.replace_file(layout.slurm_seen, json.dumps(seen).encode())
