"""The pages of a root as one application: routes, static files, compression, refusals. Knows nothing of MLflow."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from dashboards.pages.asking import not_routed
from dashboards.pages.render import FOLDER
from dashboards.pages.routes import Pages
from dashboards.pages.source import Source
from orchestrator.records.layout import Layout


def site(layout: Layout) -> Starlette:
    """Everything under /iwm."""
    static = Mount("/iwm/static", StaticFiles(directory=FOLDER / "static"))
    return Starlette(
        routes=[*Pages(Source(layout)).routes(), static],
        middleware=[Middleware(GZipMiddleware, minimum_size=2_000)],
        exception_handlers={HTTPException: not_routed},
    )
