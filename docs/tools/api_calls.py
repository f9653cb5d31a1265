"""The table of the API's calls, from its OpenAPI document and the table of roles."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import groupby
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast

from hooktui.api.access import RULES, Rule
from hooktui.api.app import make_routes
from hooktui.api.openapi import openapi_of
from hooktui.domain.roles import Role, allows

if TYPE_CHECKING:
    from hooktui.api.service import Service

_TITLES: Final = {
    "events": "Events", "event-types": "Events", "hooks": "Hooks", "deliveries": "Deliveries",
    "undelivered": "Undelivered events", "replays": "Replays", "alerts": "Alerts",
    "feed": "The change feed", "accounts": "Accounts and tokens", "tokens": "Accounts and tokens",
    "audit": "The audit trail", "status": "The server", "engine": "The server",
    "purge": "The server", "backup": "The server", "doctor": "The server", "keys": "The server",
}  # fmt: skip
_ELSE: Final = "Without a version"
_OF_LISTS: Final = ["limit", "cursor", "sort", "order", "from_end"]


def calls() -> str:
    """Return the calls by group: path, role, what each does, what it takes."""
    rows = sorted(_rows(), key=lambda row: row[0])
    parts = []
    for (_, title), group in groupby(rows, key=lambda row: row[0][:2]):
        lines = [f"### {title}\n", "| call | role | what it does | takes |", "|---|---|---|---|"]
        parts.append("\n".join([*lines, *(row[1] for row in group)]) + "\n")
    return "\n".join(parts)


def _document() -> Mapping[str, Any]:
    service = SimpleNamespace(api_docs=False)
    return openapi_of(make_routes(cast("Service", service)))


def _rows() -> Iterator[tuple[tuple[int, str, int], str]]:
    document = _document()
    order = list(dict.fromkeys([*_TITLES.values(), _ELSE]))
    for number, rule in enumerate(RULES):
        if rule.path == "/docs":
            continue
        part = rule.path.removeprefix("/v1/").partition("/")[0]
        title = _TITLES.get(part, _ELSE) if rule.path.startswith("/v1/") else _ELSE
        yield (order.index(title), title, number), _row(rule, document)


def _row(rule: Rule, document: Mapping[str, Any]) -> str:
    operation = document["paths"].get(rule.path, {}).get(rule.method.lower(), {})
    said = operation.get("description", "Show the OpenAPI description of these calls.")
    if operation.get("summary", "").startswith("Send "):
        said = f"{operation['summary']}. {said}"
    words = " ".join(re.sub("``", "`", said).split()).replace("|", "\\|")
    takes = [f"`{one}`" for one in _parameters(operation)]
    if set(_OF_LISTS) <= {one["name"] for one in operation.get("parameters", ())}:
        takes.append("a list")
    takes += _body(operation, document)
    return f"| `{rule.method} {rule.path}` | {_role(rule)} | {words} | {', '.join(takes)} |"


def _parameters(operation: Mapping[str, Any]) -> list[str]:
    given = [one["name"] for one in operation.get("parameters", ()) if one["in"] != "path"]
    return [name for name in given if not (set(_OF_LISTS) <= set(given) and name in _OF_LISTS)]


def _body(operation: Mapping[str, Any], document: Mapping[str, Any]) -> list[str]:
    """Return the fields of a body in one phrase; none: it takes no object that is known."""
    content = operation.get("requestBody", {}).get("content", {})
    schemas = [one["schema"] for one in content.values()]
    schemas += [one for schema in schemas for one in schema.get("anyOf", ())]
    names = [one["$ref"].rpartition("/")[2] for one in schemas if "$ref" in one]
    fields = [
        name for one in names for name in document["components"]["schemas"][one]["properties"]
    ]
    return ["body: " + ", ".join(f"`{name}`" for name in fields)] if fields else []


def _role(rule: Rule) -> str:
    if rule.need is None:
        return "none"
    least_first = (Role.VIEWER, Role.PRODUCER, Role.OPERATOR, Role.ADMIN)
    least = next(role for role in least_first if allows(role, rule.need))
    return f"{least.value}, all accounts" if rule.all_accounts else least.value
