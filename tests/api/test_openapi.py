"""Every call that the OpenAPI document describes, with all that it says may be sent, and more.

schemathesis makes requests from the document: such as fit it, and such as do not. Whatever is sent,
the answer is one that the document names for the call: status, media type, headers, and shape.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING

import httpx
import pytest
from fastapi import FastAPI
from starlette.responses import Response

from hooktui.api.app import make_routes
from hooktui.api.openapi import document_routes, openapi_of
from tests.support.receivers import receiving
from tests.support.running_server import RunningServer, running_server
from tests.support.services import service_with
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from schemathesis.schemas import APIOperation

    from tests.api.described_calls import Target

EXAMPLES, MANY_EXAMPLES = 8, 2000

# The server runs in this process, and throws its dice while hypothesis does.
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module")


def the_routes() -> FastAPI:
    return make_routes(service_with())


@cache
def the_document() -> dict[str, object]:
    return openapi_of(the_routes())


LABELS = [
    f"{method.upper()} {path}" for path, one in the_document()["paths"].items() for method in one
]


# Red when the document is created on the event loop, which takes 0.1 s, or at each call.
def test_the_document_is_created_once_and_off_the_event_loop(monkeypatch) -> None:
    threads: list[int] = []

    def created(app: FastAPI) -> dict[str, object]:
        threads.append(threading.get_ident())
        return openapi_of(app)

    async def ask_twice() -> list[Response]:
        route = document_routes(the_routes(), pages=False)[0]
        return await asyncio.gather(route.endpoint(None), route.endpoint(None))

    monkeypatch.setattr("hooktui.api.openapi.openapi_of", created)
    one, other = asyncio.run(ask_twice())
    assert one.body == other.body
    assert len(threads) == 1
    assert threading.get_ident() not in threads


@pytest.fixture(scope="module")
def operations() -> dict[str, APIOperation]:
    from tests.api.described_calls import operations_of

    found = operations_of(the_document())
    assert [*found] == LABELS
    return found


@pytest.fixture(scope="module")
def target(tmp_path_factory) -> Iterator[Target]:
    import requests

    from tests.api.described_calls import Target

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


# Red when the document leaves out a status (404 or 409 of a call that has it) or calls a field of
# an answer by another name or type, and when a route fails on something that it did not expect.
@pytest.mark.parametrize("label", LABELS)
def test_each_call_answers_as_the_document_says(target, operations, label):
    from tests.api.described_calls import fuzz

    fuzz(target, operations[label], EXAMPLES, chance=False)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("label", LABELS)
def test_each_call_answers_as_the_document_says_for_long(target, operations, label):
    from tests.api.described_calls import fuzz

    fuzz(target, operations[label], MANY_EXAMPLES, chance=True)


# Red when the statuses are those of a path: nothing that is deleted has to be in a state for it.
def test_only_calls_that_can_conflict_name_a_conflict():
    named = {
        f"{method} {path}": "409" in operation["responses"]
        for path, methods in the_document()["paths"].items()
        for method, operation in methods.items()
    }
    assert named["patch /v1/hooks/{hook}"]
    assert named["post /v1/replays"]
    assert [call for call, has in named.items() if has and call.startswith(("get", "delete"))] == []


def test_no_two_schemas_have_one_title():
    """Red when all pages are called Page: generators of clients make one model of them."""
    schemas = the_document()["components"]["schemas"]
    titles = [schema["title"] for schema in schemas.values() if "title" in schema]
    assert sorted(titles) == sorted(set(titles))
    assert len([one for one in titles if one.startswith("Page of ")]) >= 6


# Red with the defaults of a new hook: generated clients send them, which undoes other settings.
def test_a_field_that_an_edit_leaves_out_has_no_default():
    schema = the_document()["components"]["schemas"]["HookEditBody"]
    assert {n: one["default"] for n, one in schema["properties"].items() if "default" in one} == {}


# Red when a parameter may be null, which clients send as the text null; that is another value.
# And when a body may: a client of openapi-python-client cannot leave it out.
def test_no_parameter_and_no_body_may_be_null():
    given = [
        (path, one)
        for path, methods in the_document()["paths"].items()
        for operation in methods.values()
        for one in (
            *operation.get("parameters", ()),
            *operation.get("requestBody", {}).get("content", {}).values(),
        )
    ]
    assert [one for one in given if {"type": "null"} in one[1]["schema"].get("anyOf", ())] == []


# Red when "1 if omitted" stands where a call reaches all accounts: a token is then for all of them.
@pytest.mark.parametrize(
    ("method", "path", "account"),
    [("get", "/v1/hooks", 1), ("post", "/v1/hooks", 1), ("post", "/v1/events/{event}", 1),
     ("get", "/v1/events/{event}", "all"), ("post", "/v1/tokens", "all"),
     ("post", "/v1/purge", "all"), ("get", "/v1/audit", "all")],
)  # fmt: skip
def test_the_document_says_which_account_a_call_uses_without_one(method, path, account):
    parameters = the_document()["paths"][path][method]["parameters"]
    described = {parameter["name"]: parameter.get("description") for parameter in parameters}
    assert (
        described["account"] == f"The account; if omitted, that of a bound token, else {account}."
    )


# Red when a bound that the server checks is not in the document: clients then send what is refused.
@pytest.mark.parametrize(
    ("body", "field", "bounds"),
    [("HookBody", "timeout_s", {"minimum": 1, "maximum": 30}),
     ("HookBody", "rate_per_s", {"minimum": 1e-5, "maximum": 100_000}),
     ("HookBody", "events", {"minItems": 1}),
     ("HookEditBody", "max_in_flight", {"minimum": 1, "maximum": 1000}),
     ("HookEditBody", "signature_hash", {"$ref": "#/components/schemas/HookSignatureHash"}),
     ("HookEditBody", "retry_schedule_s", {"maxItems": 50}),
     ("RotateBody", "overlap_s", {"minimum": 0, "maximum": 604_800}),
     ("RotateBody", "secret", {"minLength": 16, "maxLength": 128}),
     ("TokenBody", "account", {"minimum": 1}), ("TokenBody", "name", {"maxLength": 200}),
     ("ReplayBody", "rate_per_s", {"minimum": 0.1, "maximum": 1000}),
     ("SelectionBody", "mode", {"enum": ["failed", "never-sent", "sent", "all"]}),
     ("SelectionBody", "hooks", {"minItems": 1}), ("DryRunBody", "events", {"minItems": 1})],
)  # fmt: skip
def test_the_document_has_the_bounds_of_a_field(body, field, bounds):
    schema = the_document()["components"]["schemas"][body]["properties"][field]
    kind = schema.get("anyOf", [schema])[0]
    assert {name: kind.get(name) for name in bounds} == bounds


# Red when a client cannot learn from the document what a cursor is, or how to write a time.
@pytest.mark.parametrize("name", ["account", "cursor", "from_end", "since", "until"])
def test_the_document_says_what_a_parameter_is(name):
    described = [
        one.get("description")
        for methods in the_document()["paths"].values()
        for operation in methods.values()
        for one in operation.get("parameters", ())
        if one["name"] == name and operation["operationId"] != "follow_feed"
    ]
    assert described
    assert None not in described


# Red when the choices of a hook's fields are not named: a generator that finds them twice makes one
# type of them, and gives the fields of an edit the default of a new hook.
def test_the_choices_of_fields_of_a_hook_are_schemas_of_their_own():
    schemas = the_document()["components"]["schemas"]
    assert schemas["HookSignatureHash"]["enum"] == ["sha256", "sha1", "sha512"]
    assert schemas["HookBody"]["properties"]["type"] == {
        "$ref": "#/components/schemas/HookType", "default": "web"
    }  # fmt: skip


# Red when a field that each response has is optional: clients must then handle that it is missing.
def test_the_fields_of_responses_are_required_except_those_that_come_at_times():
    optional = {
        (title, name)
        for title, schema in the_document()["components"]["schemas"].items()
        if schema.get("additionalProperties", True)  # bodies of requests refuse other fields
        for name in schema.get("properties", {}).keys() - {*schema.get("required", ())}
    }
    assert optional == {
        ("ChangedHook", "warnings"), ("FeedAnswer", "before"), ("FeedAnswer", "reset"),
        ("FeedAnswer", "searched_to"), ("Problem", "errors"),
    }  # fmt: skip


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
        if name.rpartition("_")[2] in ("at", "since", "until")
        and not (title.endswith("Body") and name in ("since", "until"))  # also ages, such as 9d
    ]
    assert len(times) > 70
    assert [one for one in times if "date-time" not in str(one)] == []


_KEYWORDS = {
    "$ref", "additionalProperties", "anyOf", "const", "default", "description", "enum",
    "exclusiveMinimum", "format",
    "items", "maxItems", "maxLength", "maximum", "minItems", "minLength", "minimum", "oneOf",
    "pattern", "prefixItems", "properties", "propertyNames", "required", "title", "type",
}  # fmt: skip


def _schemas(value: object, *, names: bool = False) -> Iterator[dict[str, object]]:
    """Yield each schema below ``schema`` and ``schemas``; ``names``: the keys are no keywords."""
    if isinstance(value, dict):
        if not names:
            yield value
        for key, inner in value.items():
            if names or key not in ("default", "enum", "const"):
                yield from _schemas(inner, names=not names and key == "properties")
    elif isinstance(value, list):
        for one in value:
            yield from _schemas(one)


# Red when the groups of undelivered events are a list of anything: clients get no type for them.
def test_each_value_of_an_object_has_a_type():
    untyped = [
        name
        for name, whole in the_document()["components"]["schemas"].items()
        for schema in _schemas(whole)
        if not schema.keys() & {"type", "anyOf", "$ref", "const"}
    ]
    assert untyped == []


# Red when the changes of the feed are objects of any kind, and the state of a server anything.
def test_each_response_has_a_type():
    document = the_document()
    change = document["components"]["schemas"]["FeedAnswer"]["properties"]["data"]["items"]
    assert change["required"] == ["kind", "at"]
    untyped = [
        path
        for path, methods in document["paths"].items()
        for operation in methods.values()
        for response in operation["responses"].values()
        for content in response.get("content", {}).values()
        if not content["schema"]
    ]
    assert untyped == []


# Red when a call is named "cancel" or "rotate": generators make functions of the names alone.
def test_the_name_of_a_call_says_what_it_is_about():
    names = [
        operation["operationId"]
        for methods in the_document()["paths"].values()
        for operation in methods.values()
    ]
    assert len(names) == len({*names})
    alone = {name for name in names if "_" not in name}
    assert alone == {"healthz", "readyz", "purge", "doctor", "backup", "metrics"}


# Red when a choice also has a length: orval writes code for it that does not compile.
def test_a_choice_has_no_other_bounds():
    schemas = the_document()["components"]["schemas"]
    choices = [one for whole in schemas.values() for one in _schemas(whole) if "enum" in one]
    assert choices
    assert [one for one in choices if one.keys() & {"minLength", "maxLength", "pattern"}] == []


# Red when a bound comes out as "ge": tools ignore keywords that they do not know.
def test_all_keywords_of_schemas_are_of_json_schema():
    document = the_document()
    parameters = [
        (f"{path} {parameter['name']}", parameter["schema"])
        for path, methods in document["paths"].items()
        for one in methods.values()
        for parameter in one.get("parameters", ())
    ]
    found = {
        (where, keyword)
        for where, whole in [*parameters, *document["components"]["schemas"].items()]
        for schema in _schemas(whole)
        for keyword in schema
    }
    assert {one for one in found if one[1] not in _KEYWORDS} == set()
    limits = [schema for where, schema in parameters if where.endswith(" limit")]
    assert len(limits) >= 10
    assert all((one["minimum"], one["maximum"]) == (1, 500) for one in limits)
