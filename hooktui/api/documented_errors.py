"""What can go wrong with each call, for ``/openapi.json``: derived from what the gate asks of it.

Not listed are refusals of what never becomes a call: a head that is too large, too slow or not
HTTP, a method or path that is not there.
"""

from __future__ import annotations

from typing import Any, Final

from hooktui.api.access import Rule
from hooktui.domain.roles import Need

Document = dict[str, Any]

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
    400: "Malformed: no JSON, or an unknown role in Hooktui-Role.",
    401: "No token, or one that is unknown, expired or revoked.",
    403: "The caller's role does not allow this, or this comes from a web page.",
    404: "No such thing, or not in this account.",
    408: "The body did not arrive in time.",
    409: "The state of the thing does not allow this, or somebody changed it meanwhile.",
    413: "Too large.",
    415: "Not JSON by its Content-Type, or compressed.",
    422: "Understood and not acceptable; `errors` names each bad field.",
    429: "The caller asks for more than its share.",
    503: "Not now.",
    507: "There is no room on the disk.",
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
    "/v1/keys/rotate",
    "/v1/backup",
)
_TAKES_BODY: Final = ("POST", "PATCH")


def error_responses() -> Document:
    """Return the answers that calls share, by name."""
    return {
        _name(status): {
            "description": meaning,
            "headers": _HEADERS.get(status, {}),
            "content": {"application/problem+json": {"schema": _reference("schemas", "Problem")}},
        }
        for status, meaning in _MEANING.items()
    }


def errors_of(rule: Rule, operation: Document) -> Document:
    """Return the errors of one call: references by status.

    Args:
        rule: what the call asks of its caller.
        operation: its description.
    """
    return {
        str(status): _reference("responses", _name(status)) for status in _statuses(rule, operation)
    }


def _statuses(rule: Rule, operation: Document) -> list[int]:
    found = {403, 503}
    changes = rule.need is not None and rule.method != "GET"
    if rule.need is not None:
        # 422 also without parameters: unknown ones are refused.
        found |= {400, 401, 422, 429}
    if rule.method in _TAKES_BODY:
        found |= {408, 413, 415}
    places = {(one["in"], one["name"]) for one in operation.get("parameters", ())}
    if "{" in rule.path or ("query", "account") in places:
        found.add(404)
    if changes and rule.path in _CONFLICTS:
        found.add(409)
    # Whoever sees a secret is written down first.
    if changes or (rule.need is Need.ADMINISTER and rule.path.endswith("/secret")):
        found.add(507)
    return sorted(found)


def _name(status: int) -> str:
    return f"Error{status}"


def _reference(kind: str, name: str) -> Document:
    return {"$ref": f"#/components/{kind}/{name}"}
