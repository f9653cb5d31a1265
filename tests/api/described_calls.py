"""Requests that schemathesis makes from a description of calls, and what their answers must be.

schemathesis and its schema take half a second of CPU to make: only who sends requests imports this.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass

import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import load_all_checks
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi import checks

FEW_EXAMPLES = 3  # of calls to which nothing can be given
MAY_FAIL = (503, 507)
TOO_LONG = 414
CHECKS = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]

load_all_checks()


@schemathesis.serializer("application/x-ndjson")
def as_a_line(_context, value):
    return value if isinstance(value, bytes) else json.dumps(value).encode()


@dataclass
class Target:
    """A server, a token for it, and what makes the things that paths name."""

    url: str
    session: requests.Session
    make: dict[str, Callable[[], object]]
    receiver: str


def operations_of(document: dict[str, object]) -> dict[str, APIOperation]:
    """Return what a document describes, by method and path."""
    schema = schemathesis.openapi.from_dict(deepcopy(document))
    return {one.ok().label: one.ok() for one in schema.get_all_operations()}


def _aim(case: schemathesis.Case, target: Target, real: bool) -> None:
    """Let a request reach something, where it would mostly name what is not there."""
    if "token" in case.path_parameters or real:  # the caller's own must not be revoked
        for name in case.path_parameters:
            if not (name == "event" and case.method == "POST"):
                case.path_parameters[name] = target.make[name]()
            else:
                case.path_parameters[name] = "job.failed"
    if real and isinstance(case.body, dict):
        likely = {
            "url": target.receiver,
            "events": ["job"],
            "type": "job.failed",
            "older_than": "9d",
            "until": "9d",
        }
        if case.path.startswith("/v1/hooks"):
            likely["type"] = "web"
        case.body |= {name: value for name, value in likely.items() if name in case.body}
    if real and case.query:
        case.query.pop("account", None)
    wait = (case.query or {}).get("wait")
    if isinstance(wait, int | float) and math.isfinite(wait):
        case.query["wait"] = min(wait, 0.05)


def fuzz(target: Target, operation: APIOperation, examples: int, *, chance: bool) -> None:
    """Send requests of an operation, and hold that each answer is one that the document has."""
    if not (operation.definition.raw.get("parameters") or operation.body):
        examples = FEW_EXAMPLES
    modes = [
        operation.as_strategy(generation_mode=mode)
        for mode in (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)
    ]

    @settings(
        max_examples=examples, deadline=None, database=None, derandomize=not chance,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=st.one_of(modes), real=st.booleans())
    def sent(case: schemathesis.Case, real: bool) -> None:
        _aim(case, target, real)
        answer = case.call(base_url=target.url, session=target.session, timeout=60)
        if answer.status_code == TOO_LONG:  # of the line; that never became a call
            return
        assert answer.status_code < 500 or answer.status_code in MAY_FAIL, answer.text
        assert b"Traceback" not in answer.content
        assert "server" not in answer.headers
        case.validate_response(answer, checks=CHECKS)

    sent()
