"""Who answers which address: our pages under /iwm, MLflow elsewhere, nobody where a shell or a key would be.

Behind MLflow's password our pages ask MLflow who comes; whoever it does not know is answered as MLflow answers.
"""

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

OURS = "/iwm"
REFUSED = ("assistant", "gateway")
"""MLflow's assistant runs a shell as the user of the server, and its gateway spends that user's keys. Both ask only
whether a request comes from this machine, where on a login node anybody may be. Here they do not exist."""

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


class Switch:
    """Sends each request to whom it belongs."""

    def __init__(self, *, ours: ASGIApp, mlflow: ASGIApp) -> None:
        self._ours, self._mlflow = ours, mlflow

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI application."""
        path = scope.get("path", "")
        if path == OURS or path.startswith(OURS + "/"):
            await self._ours(scope, receive, _with_headers(send))
        elif is_refused(path):
            await PlainTextResponse("not served here\n", status_code=404)(scope, receive, send)
        else:
            await self._mlflow(scope, receive, send)


def is_refused(path: str) -> bool:
    """Whether one of the first parts of an address begins as a refused one, however it is written."""
    parts = [part.lower() for part in path.split("/") if part][:4]
    return any(part.startswith(REFUSED) for part in parts)


def _with_headers(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            extra = [(key.lower().encode(), value.encode()) for key, value in HEADERS.items()]
            message = {**message, "headers": [*message.get("headers", []), *extra]}
        await send(message)

    return sent


WHO_AM_I = "/api/2.0/mlflow/users/current"
TELLING = frozenset({b"authorization", b"cookie", b"host"})
"""Headers that say who asks, and of whom."""


class Guard:
    """Asks MLflow who somebody is before a page is shown."""

    def __init__(self, *, ours: ASGIApp, mlflow: ASGIApp) -> None:
        self._ours, self._mlflow = ours, mlflow

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI application."""
        answer: list[Message] = []
        waiting: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]

        async def ask() -> Message:
            return waiting.pop() if waiting else {"type": "http.disconnect"}

        async def hear(message: Message) -> None:
            answer.append(message)

        await self._mlflow(_who_am_i(scope), ask, hear)
        if answer and answer[0].get("status") == 200:
            return await self._ours(scope, receive, send)
        for message in answer:
            await send(message)


def _who_am_i(scope: Scope) -> Scope:
    headers = [(key, value) for key, value in scope.get("headers", []) if key in TELLING]
    asked = {"method": "GET", "path": WHO_AM_I, "raw_path": WHO_AM_I.encode(), "query_string": b"", "headers": headers}
    return {**scope, **asked, "state": {}}
