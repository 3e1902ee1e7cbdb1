"""One ASGI application: our pages under /iwm, MLflow's server everywhere else. `mlflow server --app-name iwm` runs it.

Where a password is asked for, MLflow's own app for that stands everywhere else, and our pages ask it who comes. Where
MLflow's server is another's, our pages stand alone.

The root comes from the environment (IWM_ROOT and what moves its databases): MLflow imports this module by name.
"""

import os
from collections.abc import Mapping
from functools import cache
from typing import Any

from fastapi import FastAPI
from mlflow.server.fastapi_app import app as mlflow_app
from mlflow.server.fastapi_security import init_fastapi_security
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.routing import Route

from dashboards.pages.routes import site
from dashboards.pages.switch import Guard, Switch
from orchestrator.records.layout import Layout
from orchestrator.tracking.links import IS_ASKED


def pages(layout: Layout) -> FastAPI:
    """Our pages of a root; asked by another host's name they refuse, as MLflow does."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.mount("/", site(layout))
    init_fastapi_security(app)
    return app


def application(environ: Mapping[str, str] = os.environ) -> Switch:
    """The whole of it, for the root that the environment names."""
    ours = pages(_layout(environ, tracking_uri=""))
    if not environ.get(IS_ASKED):
        return Switch(ours=ours, mlflow=mlflow_app)
    from mlflow.server.auth import create_app

    guarded: Any = create_app()
    return Switch(ours=Guard(ours=ours, mlflow=guarded), mlflow=guarded)


def alone(environ: Mapping[str, str] = os.environ) -> Switch:
    """Our pages without MLflow; `/health` says that they are there."""
    layout = _layout(environ, tracking_uri=environ.get("IWM_TRACKING_URI", ""))
    here = [Route("/health", lambda _: PlainTextResponse("OK")), Route("/", lambda _: RedirectResponse("/iwm/"))]
    return Switch(ours=pages(layout), mlflow=Starlette(routes=here))


def _layout(environ: Mapping[str, str], *, tracking_uri: str) -> Layout:
    return Layout.of(environ.get("IWM_ROOT", "runs"), environ={**environ, "MLFLOW_TRACKING_URI": tracking_uri})


@cache
def _app() -> Switch:
    return application()


def __getattr__(name: str) -> Switch:
    """`app`, made when somebody first asks for it, which who wants `alone` does not; MLflow asks more than once."""
    if name != "app":
        raise AttributeError(name)
    return _app()
