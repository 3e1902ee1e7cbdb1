"""`python -m dashboards ROOT SWEEP_ID > report.zip`: a sweep's report in every format.

A process of its own for the one that serves a root: what a report of thousands of trials takes goes with it.
"""

import sys
import zipfile

from dashboards.publish import report_files
from orchestrator.records.layout import Layout
from orchestrator.store.database import Store


def main(root: str, sweep_id: str) -> None:
    """Writes the archive to standard output."""
    with Store.open(Layout.of(root).database_url) as store:
        files = report_files(store.results(sweep_id), store.points)
    with zipfile.ZipFile(sys.stdout.buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)


if __name__ == "__main__":
    main(*sys.argv[1:])
