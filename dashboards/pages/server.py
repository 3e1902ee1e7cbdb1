"""One ASGI application: our pages under /iwm, MLflow's server elsewhere. `mlflow server --app-name iwm` runs it.

Where MLflow asks for a password, our pages ask MLflow who the user is, and an unknown user gets MLflow's own answer.
Where MLflow's server runs elsewhere, our pages stand alone.

The root comes from the environment (IWM_ROOT and the variables that move its databases): MLflow imports this module by
name.
"""

import os
from collections.abc import Mapping
from functools import cache
from typing import Any

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboards.pages.routes import site
from orchestrator.records.layout import Layout
from orchestrator.tracking.links import IS_ASKED

OURS = "/iwm"
REFUSED = ("assistant", "gateway")
"""MLflow's assistant runs a shell as the user of the server, and its gateway spends that user's keys. Both check only
that a request comes from this machine, which on a login node everybody shares. Here they do not exist."""

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}

WHO_AM_I = "/api/2.0/mlflow/users/current"
CREDENTIALS = frozenset({b"authorization", b"cookie", b"host"})
"""Headers that MLflow needs to identify a user."""


class Switch:
    """Sends each request to our pages or to MLflow."""

    def __init__(self, *, ours: ASGIApp, mlflow: ASGIApp) -> None:
        self._ours, self._mlflow = ours, mlflow

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI application."""
        path = scope.get("path", "")

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                extra = [(key.lower().encode(), value.encode()) for key, value in HEADERS.items()]
                message = {**message, "headers": [*message.get("headers", []), *extra]}
            await send(message)

        if path == OURS or path.startswith(OURS + "/"):
            await self._ours(scope, receive, send_with_headers)
        elif is_refused(path):
            await PlainTextResponse("not served here\n", status_code=404)(scope, receive, send)
        else:
            await self._mlflow(scope, receive, send)


def is_refused(path: str) -> bool:
    """Return True where one of the first four parts of a path begins with a refused name, in any case."""
    parts = [part.lower() for part in path.split("/") if part][:4]
    return any(part.startswith(REFUSED) for part in parts)


class Guard:
    """Asks MLflow who the user is before it shows a page."""

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

        headers = [(key, value) for key, value in scope.get("headers", []) if key in CREDENTIALS]
        asked = {"method": "GET", "path": WHO_AM_I, "raw_path": WHO_AM_I.encode(), "query_string": b""}
        await self._mlflow({**scope, **asked, "headers": headers, "state": {}}, ask, hear)
        if answer and answer[0].get("status") == 200:
            return await self._ours(scope, receive, send)
        for message in answer:
            await send(message)


def pages(layout: Layout) -> FastAPI:
    """Our pages of a root; a request for a foreign host name is refused, as MLflow refuses it."""
    from mlflow.server.fastapi_security import init_fastapi_security

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.mount("/", site(layout))
    init_fastapi_security(app)
    return app


def application(environ: Mapping[str, str] = os.environ) -> Switch:
    """Our pages and MLflow's server, for the root that the environment names."""
    ours = pages(_layout(environ, tracking_uri=""))
    if not environ.get(IS_ASKED):
        from mlflow.server.fastapi_app import app as mlflow_app

        return Switch(ours=ours, mlflow=mlflow_app)
    from mlflow.server.auth import create_app

    guarded: Any = create_app()
    return Switch(ours=Guard(ours=ours, mlflow=guarded), mlflow=guarded)


def alone(environ: Mapping[str, str] = os.environ) -> Switch:
    """Our pages without MLflow; `/health` answers once they are up."""
    layout = _layout(environ, tracking_uri=environ.get("IWM_TRACKING_URI", ""))
    here = [Route("/health", lambda _: PlainTextResponse("OK")), Route("/", lambda _: RedirectResponse("/iwm/"))]
    return Switch(ours=pages(layout), mlflow=Starlette(routes=here))


def _layout(environ: Mapping[str, str], *, tracking_uri: str) -> Layout:
    return Layout.of(environ.get("IWM_ROOT", "runs"), environ={**environ, "MLFLOW_TRACKING_URI": tracking_uri})


@cache
def _app() -> Switch:
    return application()


def __getattr__(name: str) -> Switch:
    """`app`, made at its first use, which `alone` never has; MLflow reads it more than once."""
    if name != "app":
        raise AttributeError(name)
    return _app()
