"""One ASGI application: our pages under /iwm, MLflow's server everywhere else. `mlflow server --app-name iwm` runs it.

The root comes from the environment (IWM_ROOT and what moves its databases): MLflow imports this module by name.
"""

import os
from collections.abc import Mapping

from fastapi import FastAPI
from mlflow.server.fastapi_app import app as mlflow_app
from mlflow.server.fastapi_security import init_fastapi_security

from dashboards.pages.site import site
from dashboards.pages.switch import Switch
from orchestrator.layout import Layout


def pages(layout: Layout) -> FastAPI:
    """Our pages of a root; asked by another host's name they refuse, as MLflow does."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.mount("/", site(layout))
    init_fastapi_security(app)
    return app


def application(environ: Mapping[str, str] = os.environ) -> Switch:
    """The whole of it, for the root that the environment names."""
    layout = Layout.of(environ.get("IWM_ROOT", "runs"), environ={**environ, "MLFLOW_TRACKING_URI": ""})
    return Switch(ours=pages(layout), mlflow=mlflow_app)


app = application()
