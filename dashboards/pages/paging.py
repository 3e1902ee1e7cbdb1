"""A long list in pages, counted from 1. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from orchestrator.errors import RequestError

Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True)
class Page(Generic[Item]):
    """One page of so many."""

    items: Sequence[Item]
    number: int
    pages: int

    @property
    def near(self) -> tuple[int, ...]:
        """The pages that are worth a link: the first, the last, and those around this one."""
        around = range(max(1, self.number - 3), min(self.pages, self.number + 3) + 1)
        return tuple(sorted({1, *around, self.pages}))


def paged(items: Sequence[Item], *, number: int, size: int) -> Page[Item]:
    """Page `number`, of `size` items each; the first page of nothing is empty.

    Raises:
        RequestError: there is no such page.
    """
    pages = max(1, math.ceil(len(items) / size))
    if not 1 <= number <= pages:
        raise RequestError(f"no page {number}; choose from 1 to {pages}")
    return Page(items=items[(number - 1) * size : number * size], number=number, pages=pages)
