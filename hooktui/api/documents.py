"""``/openapi.json``: what FastAPI knows of the routes, and ours of those it does not run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from fastapi import FastAPI
from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from hooktui.api.access import RULES
from hooktui.api.answers import answer
from hooktui.api.documented_errors import PROBLEM, error_responses, errors_of
from hooktui.api.ingest import MAX_KEY_LENGTH
from hooktui.api.parameters import INTEGER_SCHEMA
from hooktui.domain.wire.diagnosis import DiagnosisLine
from hooktui.domain.wire.events import AcceptedEvent, AcceptedEvents

Document = dict[str, Any]

_ACCOUNT = {
    "name": "account",
    "in": "query",
    "required": False,
    "description": "The account; 1 where it is left out.",
    "schema": INTEGER_SCHEMA,
}

_KEY = {"type": "string", "minLength": 1, "maxLength": MAX_KEY_LENGTH}


def openapi_of(app: FastAPI) -> Callable[[], Document]:
    """Return what makes the document, at the first call and only once."""
    made: Document = {}

    def document() -> Document:
        if not made:
            made.update(_make(app))
        return made

    return document


def document_routes(document: Callable[[], Document], *, pages: bool) -> list[Route]:
    """Return the routes of the document, and of a page to read it with when that is wanted."""

    async def openapi(_request: Request) -> Response:
        return answer(document())

    async def docs(_request: Request) -> Response:
        return HTMLResponse(_page(document()))

    routes = [Route("/openapi.json", openapi, methods=["GET"])]
    if pages:
        routes.append(Route("/docs", docs, methods=["GET"]))
    return routes


def _make(app: FastAPI) -> Document:
    document = app.openapi()
    paths, components = document["paths"], document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    _, definitions = TypeAdapter.json_schemas(
        [
            (AcceptedEvent, "serialization", TypeAdapter(AcceptedEvent)),
            (AcceptedEvents, "serialization", TypeAdapter(AcceptedEvents)),
            (DiagnosisLine, "serialization", TypeAdapter(DiagnosisLine)),
        ],
        ref_template="#/components/schemas/{model}",
    )
    schemas.update(definitions.get("$defs", {}))
    schemas["Problem"] = PROBLEM
    for name, schema in schemas.items():
        if name.startswith("Page_"):  # all are titled Page, and generators keep one
            schema["title"] = name.strip("_").replace("_", " of ")
    paths.setdefault("/v1/events/{event}", {})["post"] = _accept_one()
    paths.setdefault("/v1/events", {})["post"] = _accept_many()
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "basic": {"type": "http", "scheme": "basic", "description": "The token as user name."},
    }
    document["security"] = [{"bearer": []}, {"basic": []}]
    components["responses"] = error_responses()
    for rule in RULES:
        operation = paths.get(rule.path, {}).get(rule.method.lower())
        if operation is None:
            continue  # the document itself, and the page
        operation["responses"].pop("422", None)
        operation["responses"].update(errors_of(rule, operation))
        if rule.need is None:
            operation["security"] = []
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    # JSON has no tuples of numbers as keys and the like: what is left is plain data.
    return msgspec.json.decode(msgspec.json.encode(document), type=dict[str, Any])


def _ref(name: str) -> str:
    return f"#/components/schemas/{name}"


def _accepted(name: str) -> Document:
    return {
        "202": {
            "description": "Stored; it will be delivered.",
            "content": {"application/json": {"schema": {"$ref": _ref(name)}}},
        }
    }


def _accept_one() -> Document:
    return {
        "summary": "Send one event",
        "operationId": "accept_one",
        "description": "The body is what receivers get, byte by byte; at most 256 KiB.",
        "parameters": [
            {
                "name": "event",
                "in": "path",
                "required": True,
                "description": "The event's type, such as job.failed.",
                "schema": {"type": "string"},
            },
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": False,
                "description": "Kept for 24 h: the same event again is stored once.",
                "schema": _KEY,
            },
            _ACCOUNT,
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": {}}}},
        "responses": _accepted("AcceptedEvent"),
    }


def _accept_many() -> Document:
    line = {
        "type": "object",
        "required": ["type", "data"],
        "properties": {"type": {"type": "string"}, "data": {}, "key": _KEY},
        "additionalProperties": False,
    }
    return {
        "summary": "Send many events",
        "operationId": "accept_many",
        "description": "One JSON object a line; at most 1,000 lines and 8 MiB; all or none.",
        "parameters": [_ACCOUNT],
        "requestBody": {"required": True, "content": {"application/x-ndjson": {"schema": line}}},
        "responses": _accepted("AcceptedEvents"),
    }


def _page(document: Document) -> str:
    """Return a plain page that lists the calls; it loads nothing from anywhere."""
    rows = "".join(
        f"<tr><td><code>{method.upper()} {path}</code></td><td>{operation['summary']}</td></tr>"
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    )
    return (
        "<!doctype html><meta charset=utf-8><title>hooktui API</title>"
        f'<h1>hooktui API</h1><p><a href="/openapi.json">openapi.json</a></p><table>{rows}</table>'
    )
