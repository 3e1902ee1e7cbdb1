"""A browser's request as values, and one page of a long list; every bad request ends in a plain 4xx of one line.

Routes read a request through `part`, `asked` and `page_number` alone, so a test can try every bad input.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from dashboards.wording import plain
from orchestrator.errors import DatabaseError, IwmError, RequestError, UnknownSweepError, UnknownTrialError

QUERIES = ("metric", "rows", "columns", "page", "sweep")
"""The parameters of a query; all others are ignored."""
QUERY_MAX, WHY_MAX = 2_000, 500
"""The longest query, and the longest reason for a refusal, in characters."""
PAGE_DIGITS = 6

STATUS = {UnknownSweepError: 404, UnknownTrialError: 404, DatabaseError: 503}
"""HTTP status of an error; 400 for all others."""

Answer = Callable[[Request], Response]


def part(request: Request, name: str) -> str:
    """A parameter of the path, decoded; it has no slash."""
    return str(request.path_params[name])


def asked(request: Request, name: str) -> str:
    """The value of one of `QUERIES`; empty where it is missing."""
    assert name in QUERIES, name
    return request.query_params.get(name, "")


def page_number(request: Request) -> int:
    """The requested page, counted from 1; 1 where none is requested.

    Raises:
        RequestError: not a number.
    """
    text = asked(request, "page") or "1"
    if text.isascii() and text.isdigit() and len(text) <= PAGE_DIGITS:
        return int(text)
    raise RequestError(f"no page '{plain(text[:40])}'; pages are numbered from 1", setting="page", value=text)


def guarded(answer: Answer) -> Answer:
    """The answer with its errors turned into a plain 4xx or 503 that gives the reason."""

    def answered(request: Request) -> Response:
        if len(request.url.query) > QUERY_MAX:
            return refused(414, "the URL is too long")
        try:
            return answer(request)
        except IwmError as error:
            return refused(next((code for kind, code in STATUS.items() if isinstance(error, kind)), 400), str(error))

    return answered


def not_routed(request: Request, error: Exception) -> Response:
    """The answer where no route matches, or none with this method."""
    assert isinstance(error, HTTPException)
    response = refused(error.status_code, error.detail)
    response.headers.update(error.headers or {})
    return response


def refused(status: int, why: str) -> Response:
    """A refusal of one line."""
    return PlainTextResponse(encoded(f"{' '.join(why.split())[:WHY_MAX]}\n"), status_code=status)


def encoded(text: str) -> bytes:
    """The text as UTF-8; lone surrogates, which JSON may hold, become question marks."""
    return text.encode(errors="replace")


Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True)
class Page(Generic[Item]):
    """One page of a list, its number counted from 1."""

    items: Sequence[Item]
    number: int
    pages: int

    @property
    def near(self) -> tuple[int, ...]:
        """The pages to link to: the first, the last, and those around this one."""
        around = range(max(1, self.number - 3), min(self.pages, self.number + 3) + 1)
        return tuple(sorted({1, *around, self.pages}))


def paged(items: Sequence[Item], *, number: int, size: int) -> Page[Item]:
    """Page `number`, of `size` items each; the first page of an empty list is empty.

    Raises:
        RequestError: there is no such page.
    """
    pages = max(1, math.ceil(len(items) / size))
    if not 1 <= number <= pages:
        raise RequestError(f"no page {number}; choose from 1 to {pages}", setting="page", value=number)
    return Page(items=items[(number - 1) * size : number * size], number=number, pages=pages)
