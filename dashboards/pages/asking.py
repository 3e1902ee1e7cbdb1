"""What a browser asks for, as values; whatever it may send instead ends in a plain 4xx, in one line.

Routes read a request through `part`, `asked` and `page_number` alone, so a test can try all that may come.
"""

from collections.abc import Callable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from dashboards.wording import plain
from orchestrator.errors import DatabaseError, IwmError, RequestError, UnknownSweepError, UnknownTrialError

QUERIES = ("metric", "rows", "columns", "page", "sweep")
"""What may stand behind the question mark; everything else is ignored."""
QUERY_MAX = 2_000
"""Characters of a query that anybody needs."""
PAGE_DIGITS = 6
"""Digits of a page's number."""
WHY_MAX = 500
"""Characters of a refusal."""

Answer = Callable[[Request], Response]


def part(request: Request, name: str) -> str:
    """A part of the path, decoded; it has no slash."""
    return str(request.path_params[name])


def asked(request: Request, name: str) -> str:
    """What stands under one of `QUERIES`; empty where it does not stand there."""
    assert name in QUERIES, name
    return request.query_params.get(name, "")


def page_number(request: Request) -> int:
    """The page that is asked for: 1 where none is.

    Raises:
        RequestError: that is no number.
    """
    text = asked(request, "page") or "1"
    if text.isascii() and text.isdigit() and len(text) <= PAGE_DIGITS:
        return int(text)
    raise RequestError(f"no page '{plain(text[:40])}'; pages are counted from 1")


def guarded(answer: Answer) -> Answer:
    """The answer, or a plain 4xx or 503 that says why not."""

    def answered(request: Request) -> Response:
        if len(request.url.query) > QUERY_MAX:
            return refused(414, "that address is too long")
        try:
            return answer(request)
        except (UnknownSweepError, UnknownTrialError) as error:
            return refused(404, str(error))
        except DatabaseError as error:
            return refused(503, str(error))
        except IwmError as error:
            return refused(400, str(error))

    return answered


def not_routed(request: Request, error: Exception) -> Response:
    """What no route answers, and what no route answers in that way."""
    assert isinstance(error, HTTPException)
    response = refused(error.status_code, error.detail)
    response.headers.update(error.headers or {})
    return response


def refused(status: int, why: str) -> Response:
    """One line."""
    return PlainTextResponse(encoded(f"{' '.join(why.split())[:WHY_MAX]}\n"), status_code=status)


def encoded(text: str) -> bytes:
    """UTF-8; what has no place in it (JSON may hold half a character) becomes a question mark."""
    return text.encode(errors="replace")
