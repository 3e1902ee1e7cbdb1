"""Who answers which address: our pages under /iwm, MLflow elsewhere, nobody where a shell or a key would be."""

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
