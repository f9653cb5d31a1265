"""Generates ``/openapi.json``: FastAPI's routes, those outside of FastAPI, and their errors.

The errors of a call are derived from the middleware's requirements. Not listed are refusals of
requests that never become a call: a head that is too large, too slow or not HTTP, an unknown method
or path.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Mapping
from dataclasses import field, make_dataclass
from typing import Any, Final

import msgspec
from fastapi import FastAPI
from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from hooktui.api.access import RULES, Rule
from hooktui.api.parameters import ACCOUNT, INTEGER_SCHEMA, KEY_BOUNDS, SECRET_BOUNDS
from hooktui.api.responses import JSON, encode
from hooktui.domain.errors import NotFound
from hooktui.domain.hook_edits import CREATE_REQUIRED, CREATE_TYPES, EDIT_TYPES
from hooktui.domain.hook_fields import HOOK_SETTINGS, MAX_NAME
from hooktui.domain.roles import Need
from hooktui.domain.schedule import MAX_ENTRIES, MAX_WAIT_S
from hooktui.domain.setting import Between
from hooktui.domain.wire.diagnosis import DiagnosisLine
from hooktui.domain.wire.events import AcceptedEvent, AcceptedEvents

PROBLEM: Final[Document] = {
    "type": "object",
    "description": "RFC 9457",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "Cause and fix."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {"pointer": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}

_MEANING: Final = {
    400: "Malformed: not JSON, or an unknown role in Hooktui-Role.",
    401: "No token, or one that is unknown, expired or revoked.",
    403: "The caller's role does not allow this, or the request comes from a web page.",
    404: "No such object, or not in this account.",
    408: "The body did not arrive in time.",
    409: "The state of the object does not allow this, or it was changed meanwhile.",
    413: "Too large.",
    415: "Not JSON by its Content-Type, or compressed.",
    422: "Invalid values; `errors` names each bad field.",
    429: "The caller exceeds a limit.",
    503: "Temporarily unavailable.",
    507: "There is no space on the disk.",
}
_RETRY_AFTER: Final = {
    "Retry-After": {
        "description": "Seconds.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    }
}
_CHALLENGE: Final = {"WWW-Authenticate": {"required": True, "schema": {"type": "string"}}}
_HEADERS: Final = {401: _CHALLENGE, 429: _RETRY_AFTER, 503: _RETRY_AFTER}

_CONFLICTS: Final = (
    "/v1/accounts",
    "/v1/hooks/{hook}",
    "/v1/hooks/{hook}/secret/rotate",
    "/v1/hooks/{hook}/secret/finish",
    "/v1/deliveries/{delivery}/resend",
    "/v1/deliveries/{delivery}/cancel",
    "/v1/undelivered/{hook}/{cause}/give-up",
    "/v1/alerts/{alert}/acknowledge",
    "/v1/alerts/{alert}/snooze",
    "/v1/keys/rotate",
    "/v1/backup",
    "/v1/replays",
    "/v1/replays/plan",
    "/v1/replays/{replay}",
    "/v1/replays/{replay}/pause",
    "/v1/replays/{replay}/resume",
    "/v1/replays/{replay}/abort",
)
"""The paths whose changes may be impossible in the present state; a deletion never is."""
_TAGS: Final = {
    "hooks": "Hooks, their secrets, pings, diagnosis and dry runs.",
    "events": "Send events, and look up their outcomes.",
    "deliveries": "Deliveries with their attempts, undelivered events, replays, and the feed.",
    "alerts": "Operator alerts: list, show, acknowledge, snooze.",
    "access": "Accounts, tokens and the audit trail.",
    "server": "Status, metrics, backup, keys and retention.",
}


def error_responses() -> Document:
    """Return the shared error responses, by name."""
    return {
        _name(status): {
            "description": meaning,
            "headers": _HEADERS.get(status, {}),
            "content": {"application/problem+json": {"schema": _reference("schemas", "Problem")}},
        }
        for status, meaning in _MEANING.items()
    }


def errors_of(rule: Rule, operation: Document) -> Document:
    """Return the errors of one call: references by status."""
    statuses = {403, 503}
    changes = rule.need is not None and rule.method != "GET"
    if rule.need is not None:
        # 422 also without parameters, because unknown ones are refused.
        statuses |= {400, 401, 422, 429}
    if rule.has_body:
        statuses |= {408, 413, 415}
    places = {(parameter["in"], parameter["name"]) for parameter in operation.get("parameters", ())}
    if "{" in rule.path or ("query", "account") in places:
        statuses.add(404)
    if changes and rule.path in _CONFLICTS and rule.method != "DELETE":
        statuses.add(409)
    # Reading a secret is audited first.
    if changes or (rule.need is Need.ADMINISTER and rule.path.endswith("/secret")):
        statuses.add(507)
    return {str(status): _reference("responses", _name(status)) for status in sorted(statuses)}


def _name(status: int) -> str:
    return f"Error{status}"


def _reference(kind: str, name: str) -> Document:
    return {"$ref": f"#/components/{kind}/{name}"}


Document = dict[str, Any]

_ACCOUNT = {
    "name": "account",
    "in": "query",
    "required": False,
    "description": ACCOUNT.format(1),
    "schema": INTEGER_SCHEMA,
}

_SORTS: Final = {
    "/v1/hooks": ("id", "name", "created_at", "updated_at", "last_at", "waiting"),
    "/v1/events": ("id", "created_at"),
    "/v1/deliveries": ("id", "created_at"),
    "/v1/undelivered": ("newest_at", "oldest_at", "count", "hook"),
    "/v1/replays": ("id", "created_at"),
    "/v1/accounts": ("id", "name"),
    "/v1/tokens": ("id", "name"),
}
"""Values of ``sort`` by list, the default first; other lists have the id alone."""

_GIVEN_TIME: Final = re.compile(r"(.+_)?at")
_TIME: Final = re.compile(r"(.+_)?(at|since|until)|not_(before|after)|searched_to|position")
"""Fields with times; in bodies of requests ``since`` and ``until`` may also be ages as ``9d``."""

_BOUNDS: Final[Mapping[str, Document]] = {
    "name": {"maxLength": MAX_NAME},
    "events": {"minItems": 1},
    "retry_schedule_s": {
        "maxItems": MAX_ENTRIES,
        "items": {"type": "number", "exclusiveMinimum": 0, "maximum": MAX_WAIT_S},
    },
    "secret": SECRET_BOUNDS,
}
"""Of a hook's fields, by name, besides choices and ranges."""

_ALL_ACCOUNTS: Final = ("/v1/tokens", "/v1/audit", "/v1/status", "/v1/purge")
"""Calls without an id in their path that reach all accounts if none is named."""

_CHANGE: Final = {
    "required": ["kind", "at"],
    "properties": {"kind": {"type": "string"}, "at": {"type": "string", "format": "date-time"}},
}
_OPTIONAL: Final = {
    "FeedAnswer": ("reset", "before", "searched_to"),
    "ChangedHook": ("warnings",),
}
"""Fields that not all responses have."""

_KEY = {"type": "string", **KEY_BOUNDS}


def document_routes(app: FastAPI, *, pages: bool) -> list[Route]:
    """Return the routes of the document, and of a page for reading it, which may be off.

    The first call creates both, in a thread: it takes 0.1 s. Callers need no token, so that each
    later call only sends bytes.
    """
    made: list[bytes] = []
    one_at_a_time = asyncio.Lock()

    def create() -> list[bytes]:
        document = openapi_of(app)
        return [encode(document), _page(document).encode()]

    async def texts() -> list[bytes]:
        async with one_at_a_time:
            if not made:
                made.extend(await asyncio.to_thread(create))
        return made

    async def openapi(_request: Request) -> Response:
        return Response((await texts())[0], media_type=JSON)

    async def docs(_request: Request) -> Response:
        if not pages:
            raise NotFound("/docs is off; set api_docs to true, or read /openapi.json")
        return HTMLResponse((await texts())[1])

    return [
        Route("/openapi.json", openapi, methods=["GET"]),
        Route("/docs", docs, methods=["GET"]),
    ]


def openapi_of(app: FastAPI) -> Document:
    """Create the document of all routes."""
    document = app.openapi()
    paths, components = document["paths"], document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    _complete_schemas(schemas)
    _complete_operations(paths)
    document["servers"] = [{"url": "/", "description": "The server that returned this document."}]
    document["tags"] = [{"name": name, "description": text} for name, text in _TAGS.items()]
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "basic": {"type": "http", "scheme": "basic", "description": "The token as user name."},
    }
    document["security"] = [{"bearer": []}, {"basic": []}]
    components["responses"] = error_responses()
    # Converts tuples and non-string keys: the result is plain JSON data.
    return msgspec.json.decode(msgspec.json.encode(document), type=dict[str, Any])


def _complete_schemas(schemas: Document) -> None:
    """Add the schemas that FastAPI does not know, and what it cannot say about the others."""
    _, definitions = TypeAdapter.json_schemas(
        [
            (AcceptedEvent, "serialization", TypeAdapter(AcceptedEvent)),
            (AcceptedEvents, "serialization", TypeAdapter(AcceptedEvents)),
            (DiagnosisLine, "serialization", TypeAdapter(DiagnosisLine)),
            (_HookBody, "validation", TypeAdapter(_HookBody)),
            (_HookEditBody, "validation", TypeAdapter(_HookEditBody)),
        ],
        ref_template="#/components/schemas/{model}",
    )
    schemas.update(definitions.get("$defs", {}))
    for name in ("HookBody", "HookEditBody"):
        _bound_settings(schemas, schemas[name]["properties"])
    # A field that is left out stays. Clients send the defaults of a document.
    _drop_defaults(schemas["HookEditBody"])
    schemas["FeedAnswer"]["properties"]["data"]["items"] |= _CHANGE
    for name, schema in schemas.items():
        if name.startswith("Page_"):  # all have the title Page, of which generators keep one
            schema["title"] = name.strip("_").replace("_", " of ")
        is_body = schema.get("additionalProperties") is False
        _mark_times(schema, _GIVEN_TIME if is_body else _TIME)
        if "properties" in schema and not is_body:
            _require_fields(name, schema)
    schemas["Problem"] = PROBLEM
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)


def _complete_operations(paths: Document) -> None:
    """Add the calls outside of FastAPI, and to all calls their errors and bounds."""
    paths.setdefault("/v1/events/{event}", {})["post"] = _send_event()
    paths.setdefault("/v1/events", {})["post"] = _send_many()
    create, edit = paths["/v1/hooks"]["post"], paths["/v1/hooks/{hook}"]["patch"]
    for operation, name in ((create, "HookBody"), (edit, "HookEditBody")):
        content = operation["requestBody"]["content"]
        content["application/json"]["schema"] = _reference("schemas", name)
    for path, operations in paths.items():
        for operation in operations.values():
            _complete_values(path, operation)
    for rule in RULES:
        operation = paths.get(rule.path, {}).get(rule.method.lower())
        if operation is None:
            continue  # the document itself, and the page
        operation["responses"].pop("422", None)
        operation["responses"].update(errors_of(rule, operation))
        if rule.need is None:
            operation["security"] = []


def _complete_values(path: str, operation: Document) -> None:
    """Complete the body and the parameters of a call."""
    for content in operation.get("requestBody", {}).get("content", {}).values():
        content["schema"] = _not_null(content["schema"])
    for parameter in operation.get("parameters", ()):
        parameter["schema"] = _not_null(parameter["schema"])
        if parameter["name"] == "account" and _reaches_all_accounts(path, operation):
            parameter["description"] = ACCOUNT.format("all")
        if parameter["name"] == "sort":
            values = _SORTS.get(path, ("id",))
            parameter["schema"] = {"type": "string", "enum": values, "default": values[0]}


def _reaches_all_accounts(path: str, operation: Document) -> bool:
    """Return whether a call that names no account reaches objects of all."""
    return path in _ALL_ACCOUNTS or ("{" in path and operation["operationId"] != "send_event")


def _not_null(schema: Document) -> Document:
    """Return the schema of a parameter or body: it is left out, not null (a text in a query)."""
    kinds = [kind for kind in schema.pop("anyOf", ()) if kind != {"type": "null"}]
    return schema | kinds[0] if kinds else schema


def _mark_times(schema: Document, names: re.Pattern[str]) -> None:
    """Give the RFC 3339 times of an object their format, by the names of fields."""
    for name, value in schema.get("properties", {}).items():
        if names.fullmatch(name):
            for kind in (value, *value.get("anyOf", ())):
                if kind.get("type") == "string":
                    kind["format"] = "date-time"


def _fields_class(
    name: str, doc: str, types: Mapping[str, Any], required: Collection[str] = ()
) -> type:
    """Return a class that stands for a JSON object in the document; it holds no values."""
    attributes = [
        (key, kind) if key in required else (key, kind, _default(key))
        for key, kind in types.items()
    ]
    config = {"__doc__": doc, "__pydantic_config__": {"extra": "forbid"}}
    return make_dataclass(name, attributes, kw_only=True, namespace=config)


def _default(name: str) -> object:
    """Return a field's default; one that a factory makes is not in the document."""
    setting = HOOK_SETTINGS.get(name)
    if setting and setting.is_plain and setting.default not in (None, ""):
        return setting.default
    return field(default_factory=str)


_FIELDS = """

``retry_schedule_s``: seconds before each further attempt; empty: no retries. ``rate_per_s``:
deliveries a second at most; null: no limit. ``max_in_flight``: attempts at the same time; null: as
many as the receiver takes, at most ``max_in_flight_cap``. ``name``: null: the host of the URL.
"""
_HookBody = _fields_class(
    "HookBody",
    f"A new hook; without ``secret`` it gets one.{_FIELDS}",
    CREATE_TYPES,
    CREATE_REQUIRED,
)
_HookEditBody = _fields_class(
    "HookEditBody",
    "Changes to a hook: the fields that are given; ``version`` is what the editor had read."
    f"{_FIELDS}",
    EDIT_TYPES,
)


def _require_fields(name: str, schema: Document) -> None:
    """Mark the fields of an object in responses as required, without defaults: it holds them."""
    _drop_defaults(schema)
    schema["required"] = [
        field for field in schema["properties"] if field not in _OPTIONAL.get(name, ())
    ]


def _drop_defaults(schema: Document) -> None:
    for value in schema["properties"].values():
        value.pop("default", None)


def _bound_settings(schemas: Document, properties: Document) -> None:
    """Give the fields of a hook in a request the bounds that the server checks.

    Choices are schemas of their own: else datamodel-code-generator gives an edit the defaults of a
    new hook.
    """
    for name, value in properties.items():
        setting, bounds = HOOK_SETTINGS.get(name), _BOUNDS.get(name, {})
        if setting and setting.choices:
            title = f"Hook{value.pop('title').replace(' ', '')}"
            schemas[title] = {"title": title, "type": value.pop("type"), "enum": setting.choices}
            bounds = _reference("schemas", title)
        elif setting and isinstance(setting.check, Between):
            bounds = {"minimum": setting.check.low, "maximum": setting.check.high}
        kinds = [kind for kind in value.get("anyOf", [value]) if kind != {"type": "null"}]
        kinds[0] |= bounds


def _accepted(name: str) -> Document:
    return {
        "202": {
            "description": "Stored; it will be delivered.",
            "content": {"application/json": {"schema": _reference("schemas", name)}},
        }
    }


def _send_event() -> Document:
    return {
        "summary": "Send one event",
        "operationId": "send_event",
        "tags": ["events"],
        "description": "The body is sent to receivers unchanged; at most 256 KiB.",
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


def _send_many() -> Document:
    line = {
        "type": "object",
        "required": ["type", "data"],
        "properties": {"type": {"type": "string"}, "data": {}, "key": _KEY},
        "additionalProperties": False,
    }
    return {
        "summary": "Send many events",
        "operationId": "send_many",
        "tags": ["events"],
        "description": "One JSON object a line; at most 1,000 lines and 8 MiB; all or none.",
        "parameters": [_ACCOUNT],
        "requestBody": {"required": True, "content": {"application/x-ndjson": {"schema": line}}},
        "responses": _accepted("AcceptedEvents"),
    }


def _page(document: Document) -> str:
    """Return a plain page that lists the calls; it loads no external resources."""
    rows = "".join(
        f"<tr><td><code>{method.upper()} {path}</code></td><td>{operation['summary']}</td></tr>"
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    )
    return (
        "<!doctype html><meta charset=utf-8><title>hooktui API</title>"
        f'<h1>hooktui API</h1><p><a href="/openapi.json">openapi.json</a></p><table>{rows}</table>'
    )
