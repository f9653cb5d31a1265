"""The application: all routes behind the request pipeline."""

from __future__ import annotations

from typing import Final

from fastapi import FastAPI
from starlette.types import ASGIApp

from hooktui import __version__
from hooktui.api import responses
from hooktui.api.middleware import RequestPipeline
from hooktui.api.openapi import document_routes
from hooktui.api.routes import (
    accounts,
    alerts,
    audit,
    backup,
    deliveries,
    diagnoses,
    events,
    feed,
    hooks,
    metrics,
    operations,
    replays,
    status,
    undelivered,
)
from hooktui.api.service import Service

# In the order in which the documents list the routes.
_MODULES: Final = (
    hooks, diagnoses, events, deliveries, undelivered, replays, feed, accounts, audit, alerts,
    status, operations, backup, metrics,
)  # fmt: skip


def make_routes(service: Service) -> FastAPI:
    """Return every route except those that accept events; errors become problem objects."""
    app = FastAPI(
        title="hooktui",
        version=__version__,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.service = service
    responses.install(app)
    for module in _MODULES:
        app.router.routes.extend(module.router.routes)
    app.router.routes.extend(document_routes(app, pages=service.api_docs))
    return app


def make_app(service: Service) -> ASGIApp:
    """Return the whole application."""
    return RequestPipeline(make_routes(service), service)
