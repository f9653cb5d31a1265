"""Every call that the OpenAPI document describes, with all that it says may be sent, and more.

schemathesis makes requests from the document: such as fit it, and such as do not. Whatever is sent,
the answer is one that the document names for the call: status, media type, headers, and shape.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import load_all_checks
from schemathesis.specs.openapi import checks

from hooktui.api.app import make_routes
from hooktui.api.openapi import openapi_of
from hooktui.api.service import Service
from hooktui.domain.catalogue import ETL
from tests.support.receivers import receiving
from tests.support.running_server import RunningServer, running_server
from tests.support.waiting import wait_for

EXAMPLES, MANY_EXAMPLES = 15, 2000
FEW_EXAMPLES = 3  # of calls to which nothing can be given
MAY_FAIL = (503, 507)
TOO_LONG = 414
CHECKS = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]

# The server runs in this process, and throws its dice while hypothesis does.
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module")

load_all_checks()


@schemathesis.serializer("application/x-ndjson")
def as_a_line(_context, value):
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def the_document() -> dict[str, object]:
    service = Service(
        store=None, engine=None, catalogue=ETL, event_types=frozenset(), check_url=None,
        version="0", started_at="", name="",
    )  # fmt: skip
    return openapi_of(make_routes(service))()


SCHEMA = schemathesis.openapi.from_dict(the_document())
OPERATIONS = {one.ok().label: one.ok() for one in SCHEMA.get_all_operations()}


@dataclass
class Target:
    """A server, a token for it, and what makes the things that paths name."""

    url: str
    session: requests.Session
    make: dict[str, Callable[[], object]]
    receiver: str


@pytest.fixture(scope="module")
def target(tmp_path_factory) -> Iterator[Target]:
    home = tmp_path_factory.mktemp("home")
    # Over TCP: there the server writes no backups into files that somebody has thought up.
    with (
        receiving() as receiver,
        running_server(home, listen="127.0.0.1:0", calls_per_s=0, events_per_s=0) as server,
        server.client() as api,
        requests.Session() as session,
    ):
        session.trust_env = False
        token = _made(api, "/v1/tokens", {"name": "caller", "role": "admin"})["token"]
        session.headers["Authorization"] = f"Bearer {token}"
        yield Target(_url(server), session, _makers(api, receiver.url), receiver.url)


def _url(server: RunningServer) -> str:
    host, port = server.listen[0]
    return f"http://{host}:{port}"


def _made(api: httpx.Client, path: str, content: object) -> dict[str, object]:
    answer = api.post(path, json=content)
    assert answer.is_success, answer.text
    return answer.json()


def _makers(api: httpx.Client, url: str) -> dict[str, Callable[[], object]]:
    def hook() -> object:
        return _made(api, "/v1/hooks", {"url": url, "events": ["cluster.idled"]})["id"]

    def event() -> object:
        return _made(api, "/v1/events/cluster.error", {"a": 1})["id"]

    def delivery() -> object:
        made = hook()
        _made(api, f"/v1/hooks/{made}/ping", None)
        return api.get("/v1/deliveries", params={"hook": made}).json()["data"][0]["id"]

    def token() -> object:
        return _made(api, "/v1/tokens", {"name": "t", "role": "viewer"})["id"]

    def replay() -> object:
        for unfinished in api.get("/v1/replays", params={"limit": 100}).json()["data"]:
            if unfinished["state"] in ("running", "paused"):
                api.post(f"/v1/replays/{unfinished['id']}/abort")  # only 20 may be unfinished
        return _made(api, "/v1/replays", {"selection": {"hooks": [hook()]}})["id"]

    @cache
    def alert() -> object:
        closed = {"url": "http://127.0.0.1:9/", "events": ["job.stopped"], "retry_schedule_s": []}
        _made(api, "/v1/hooks", closed)
        _made(api, "/v1/events/job.stopped", {"a": 1})
        wait_for(lambda: api.get("/v1/alerts").json()["data"])
        return api.get("/v1/alerts").json()["data"][0]["id"]

    made: dict[str, Callable[[], object]] = {
        "hook": hook, "event": event, "delivery": delivery, "token": token, "replay": replay,
        "alert": alert,
    }  # fmt: skip
    return made | {"cause": lambda: "connect_refused"}


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


def _fuzz(target: Target, label: str, examples: int) -> None:
    operation = OPERATIONS[label]
    if not (operation.definition.raw.get("parameters") or operation.body):
        examples = FEW_EXAMPLES
    modes = [
        operation.as_strategy(generation_mode=mode)
        for mode in (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)
    ]

    @settings(
        max_examples=examples, deadline=None, database=None, derandomize=examples < MANY_EXAMPLES,
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


# Red when the document leaves out a status (404 or 409 of a call that has it) or calls a field of
# an answer by another name or type, and when a route fails on something that it did not expect.
@pytest.mark.parametrize("label", OPERATIONS)
def test_each_call_answers_as_the_document_says(target, label):
    _fuzz(target, label, EXAMPLES)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("label", OPERATIONS)
def test_each_call_answers_as_the_document_says_for_long(target, label):
    _fuzz(target, label, MANY_EXAMPLES)


def test_no_two_schemas_have_one_title():
    """Red when all pages are called Page: generators of clients make one model of them."""
    schemas = the_document()["components"]["schemas"]
    titles = [schema["title"] for schema in schemas.values() if "title" in schema]
    assert sorted(titles) == sorted(set(titles))
    assert len([one for one in titles if one.startswith("Page of ")]) >= 6


# Red without tags, servers or the format of times: generated clients lose them.
def test_generated_clients_get_tags_servers_and_times():
    document = the_document()
    tags = {tag["name"] for tag in document["tags"]}
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert all(len(one["tags"]) == 1 and one["tags"][0] in tags for one in operations)
    assert document["servers"][0]["url"] == "/"
    times = [
        (title, name, field)
        for title, schema in document["components"]["schemas"].items()
        for name, field in schema.get("properties", {}).items()
        if name == "at" or name.endswith("_at")
    ]
    assert len(times) > 20
    assert [one for one in times if "date-time" not in str(one)] == []
