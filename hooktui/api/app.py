"""The application: all routes behind the request pipeline."""

from __future__ import annotations

from fastapi import Depends, FastAPI
from starlette.types import ASGIApp

from hooktui.api import responses
from hooktui.api.identity import Identity
from hooktui.api.ingest import Ingest
from hooktui.api.middleware import RequestPipeline
from hooktui.api.openapi import document_routes, openapi_of
from hooktui.api.parameters import only_known
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


def make_routes(service: Service) -> FastAPI:
    """Return every route except those that accept events; errors become problem objects."""
    app = FastAPI(
        title="hooktui",
        version=service.version,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        strict_content_type=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.service = service
    responses.install(app)
    for tag, modules in {
        "hooks": (hooks, diagnoses),
        "events": (events,),
        "deliveries": (deliveries, undelivered, replays, feed),
        "access": (accounts, audit),
        "alerts": (alerts,),
        "server": (status, operations, backup, metrics),
    }.items():
        for module in modules:
            app.include_router(module.router, tags=[tag], dependencies=[Depends(only_known)])
    app.router.routes.extend(document_routes(openapi_of(app), pages=service.api_docs))
    return app


def make_app(service: Service) -> ASGIApp:
    """Return the whole application."""
    bodies = service.unsent.bodies
    ingest = Ingest(service, bodies)
    return RequestPipeline(make_routes(service), ingest, service, Identity(service), bodies)
