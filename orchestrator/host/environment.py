"""The environment of this process, changed for a block."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


@contextmanager
def changed(values: Mapping[str, str | None]) -> Iterator[None]:
    """Set these variables (None: remove them); restore them afterwards."""
    before = {key: os.environ.get(key) for key in values}
    _set(values)
    try:
        yield
    finally:
        _set(before)


def _set(values: Mapping[str, str | None]) -> None:
    for key, value in values.items():
        if value is None:
            os.environ.pop(key, None)
        else:
            os.environ[key] = value
