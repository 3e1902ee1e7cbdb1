"""`python -m dashboards ROOT SWEEP_ID > report.zip`: a sweep's report in every format.

`iwm serve` runs it as a process of its own, so the memory that a report of thousands of trials takes is freed.
"""

import sys
import zipfile

from dashboards.publish import report_files
from orchestrator.records.layout import Layout
from orchestrator.store.database import Store


def main(root: str, sweep_id: str) -> None:
    """Write the archive to standard output."""
    with Store.open(Layout.of(root).database_url) as store:
        files = report_files(store.results(sweep_id), store.points)
    with zipfile.ZipFile(sys.stdout.buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)


if __name__ == "__main__":
    main(*sys.argv[1:])
