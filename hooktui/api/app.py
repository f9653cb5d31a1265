"""The application: all routes behind the gate."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.routing import Route
from starlette.types import ASGIApp

from hooktui.api import admin, deliveries, events, feed, hooks, problems, status
from hooktui.api.documents import document_routes, openapi_of
from hooktui.api.gate import Gate
from hooktui.api.identity import Identity
from hooktui.api.service import Service


def make_routes(service: Service) -> FastAPI:
    """Return the application without the gate: every route, and errors as problem objects."""
    app = FastAPI(
        title="hooktui",
        version=service.version,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        strict_content_type=False,
    )
    app.state.service = service
    problems.install(app)
    # First, and plain: the hot path.
    app.router.routes.append(Route("/v1/events/{event}", events.accept_one, methods=["POST"]))
    app.router.routes.append(Route("/v1/events", events.accept_many, methods=["POST"]))
    for room in (hooks, events, deliveries, feed, admin, status):
        app.include_router(room.router)
    app.router.routes.extend(document_routes(openapi_of(app), pages=service.api_docs))
    return app


def make_app(service: Service) -> ASGIApp:
    """Return the whole application."""
    return Gate(make_routes(service), service, Identity(service))
