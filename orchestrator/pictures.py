"""The pictures in a trial's folder, for whoever shows them."""

import re
from pathlib import Path

from orchestrator.layout import TrialFolder
from orchestrator.log_tail import plain_files

PICTURE = re.compile(r"[\w-][\w.-]*\.png")


def pictures(folder: TrialFolder) -> dict[str, Path]:
    """Name -> file, sorted. Links are not followed."""
    found = (file for file in plain_files(folder.pictures) if PICTURE.fullmatch(file.name))
    return {file.name: file for file in sorted(found)}
