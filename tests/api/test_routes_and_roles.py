"""Every route of the application, every role, both ways in: compared with the contract's words.

The table below is written from the contract, not from the code: "viewer reads; operator also pings,
resends, cancels, and may PATCH active alone; admin everything; producer only sends events".
"""

from __future__ import annotations

import inspect
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.routing import Route

from hooktui.api.access import RULES
from hooktui.api.app import make_routes
from hooktui.api.ingest import MANY, ONE
from hooktui.domain.roles import Need, Role
from tests.api.as_user import ask_as
from tests.support.running_server import running_server
from tests.support.services import service_with

ANYBODY = None
READERS = {"viewer", "operator", "admin"}
OPERATORS = {"operator", "admin"}
ADMINS = {"admin"}
PRODUCERS = {"producer", "admin"}

CONTRACT = {
    ("GET", "/healthz"): ANYBODY,
    ("GET", "/readyz"): ANYBODY,
    ("GET", "/metrics"): READERS,
    ("GET", "/openapi.json"): ANYBODY,
    ("GET", "/docs"): ANYBODY,
    ("POST", "/v1/events/{event}"): PRODUCERS,
    ("POST", "/v1/events"): PRODUCERS,
    ("GET", "/v1/events"): READERS,
    ("GET", "/v1/events/{event}"): READERS,
    ("GET", "/v1/events/{event}/decisions"): READERS,
    ("GET", "/v1/event-types"): READERS,
    ("GET", "/v1/hooks"): READERS,
    ("POST", "/v1/hooks"): ADMINS,
    ("POST", "/v1/hooks/dry-run"): READERS,
    ("GET", "/v1/hooks/{hook}"): READERS,
    ("PATCH", "/v1/hooks/{hook}"): OPERATORS,
    ("DELETE", "/v1/hooks/{hook}"): ADMINS,
    ("GET", "/v1/hooks/{hook}/health"): READERS,
    ("POST", "/v1/hooks/{hook}/ping"): OPERATORS,
    ("POST", "/v1/hooks/{hook}/diagnose"): OPERATORS,
    ("GET", "/v1/hooks/{hook}/secret"): ADMINS,
    ("POST", "/v1/hooks/{hook}/secret/rotate"): ADMINS,
    ("POST", "/v1/hooks/{hook}/secret/finish"): ADMINS,
    ("GET", "/v1/deliveries"): READERS,
    ("GET", "/v1/deliveries/{delivery}"): READERS,
    ("POST", "/v1/deliveries/{delivery}/resend"): OPERATORS,
    ("POST", "/v1/deliveries/{delivery}/cancel"): OPERATORS,
    ("POST", "/v1/deliveries/cancel"): OPERATORS,
    ("GET", "/v1/undelivered"): READERS,
    ("POST", "/v1/undelivered/{hook}/{cause}/give-up"): OPERATORS,
    ("GET", "/v1/feed"): READERS,
    ("GET", "/v1/status"): READERS,
    ("POST", "/v1/engine/pause"): OPERATORS,
    ("POST", "/v1/engine/resume"): OPERATORS,
    ("GET", "/v1/audit"): READERS,
    ("GET", "/v1/audit/verify"): ADMINS,
    ("GET", "/v1/tokens"): ADMINS,
    ("POST", "/v1/tokens"): ADMINS,
    ("DELETE", "/v1/tokens/{token}"): ADMINS,
    ("GET", "/v1/accounts"): READERS,
    ("POST", "/v1/accounts"): ADMINS,
    ("POST", "/v1/purge"): ADMINS,
    ("POST", "/v1/backup"): ADMINS,
    ("GET", "/v1/doctor"): ADMINS,
    ("GET", "/v1/keys"): ADMINS,
    ("POST", "/v1/keys/rotate"): ADMINS,
    ("GET", "/v1/replays"): READERS,
    ("POST", "/v1/replays"): OPERATORS,
    ("POST", "/v1/replays/plan"): READERS,
    ("GET", "/v1/replays/{replay}"): READERS,
    ("PATCH", "/v1/replays/{replay}"): OPERATORS,
    ("POST", "/v1/replays/{replay}/pause"): OPERATORS,
    ("POST", "/v1/replays/{replay}/resume"): OPERATORS,
    ("POST", "/v1/replays/{replay}/abort"): OPERATORS,
    ("GET", "/v1/alerts"): READERS,
    ("GET", "/v1/alerts/{alert}"): READERS,
    ("POST", "/v1/alerts/{alert}/acknowledge"): OPERATORS,
    ("POST", "/v1/alerts/{alert}/snooze"): OPERATORS,
    ("POST", "/v1/undelivered/{hook}/{cause}/acknowledge"): OPERATORS,
    ("POST", "/v1/undelivered/{hook}/{cause}/snooze"): OPERATORS,
}
MISSING = {
    "hook": "424242", "token": "424242", "delivery": "dlv_0000000000001",
    "event": "evt_0000000000001", "cause": "dns", "replay": "rpl_0000000000001",
    "alert": "alr_0000000000001",
}  # fmt: skip
LOWERED = {
    "viewer": {"viewer"},
    "operator": {"operator", "viewer"},
    "producer": {"producer"},
    "admin": {"admin", "operator", "viewer", "producer"},
}


def _routes(app) -> Iterator[tuple[str, str]]:
    for route in app.routes:
        yield from ((method, route.path) for method in route.methods if method != "HEAD")


def _app() -> FastAPI:
    return make_routes(service_with(api_docs=True))


def routes_of_the_app() -> list[tuple[str, str]]:
    """Every route that the application answers, found in it."""
    return sorted({*_routes(_app()), ("POST", ONE), ("POST", MANY)})


ROUTES = routes_of_the_app()


# Red with include_router(): FastAPI completes such routes at the first request, on the event loop.
def test_no_route_is_left_for_the_first_request_to_complete() -> None:
    assert {type(route) for route in _app().routes} == {APIRoute, Route}


def _calls(dependant: Dependant) -> Iterator[object]:
    yield dependant.call
    for other in dependant.dependencies:
        yield from _calls(other)


# FastAPI calls a plain function in a thread, which takes longer than all else of a small call.
def test_no_route_and_no_dependency_runs_in_a_thread() -> None:
    calls = {
        call
        for route in _app().routes
        if isinstance(route, APIRoute)
        for call in _calls(route.dependant)
    }
    assert len(calls) > 40
    assert [call for call in calls if not inspect.iscoroutinefunction(call)] == []


def _request(client: httpx.Client, method: str, path: str, **headers: str) -> httpx.Response:
    if path == ONE:
        path = "/v1/events/job.failed" if method == "POST" else "/v1/events/evt_0000000000001"
    path = re.sub(r"\{(\w+)\}", lambda found: MISSING[found[1]], path)
    # A body that nothing accepts: what is let in fails behind the gate, and changes nothing.
    content = b"{" if method in ("POST", "PATCH") else None
    return client.request(method, path, headers=headers, content=content)


@pytest.fixture(scope="module")
def tokens(server) -> dict[str, str]:
    with server.client() as api:
        return {
            role: api.post("/v1/tokens", json={"name": role, "role": role}).json()["token"]
            for role in Role
        }


@pytest.fixture(scope="module")
def by_token(server) -> Iterator[httpx.Client]:
    host, port = server.listen[0]
    with httpx.Client(base_url=f"http://{host}:{port}", trust_env=False, timeout=60) as client:
        yield client


def test_every_route_of_the_app_has_a_line_in_the_contract_and_a_rule():
    assert set(ROUTES) == set(CONTRACT)
    rules = {(rule.method, rule.path): rule.need for rule in RULES}
    assert set(rules) == set(CONTRACT)
    needs = {
        Need.READ: READERS, Need.OPERATE: OPERATORS, Need.ADMINISTER: ADMINS,
        Need.PRODUCE: PRODUCERS, None: ANYBODY,
    }  # fmt: skip
    assert {route: needs[need] for route, need in rules.items()} == CONTRACT


@pytest.mark.parametrize("way", ["socket", "token"])
@pytest.mark.parametrize("route", [r for r in ROUTES if r[1] != "/docs"], ids=" ".join)
def test_only_callers_with_the_role_are_admitted(api, by_token, tokens, route, way):
    allowed = CONTRACT[route]
    for role in Role:
        if way == "socket":
            answer = _request(api, *route, **{"Hooktui-Role": role})
        else:
            answer = _request(by_token, *route, Authorization=f"Bearer {tokens[role]}")
        if allowed is ANYBODY or role in allowed:
            assert answer.status_code in (200, 400, 404, 204), (role, answer.text)
        else:
            assert answer.status_code == 403, (role, answer.text)
            assert answer.json()["detail"].endswith(f"; yours is {role}")


@pytest.mark.parametrize("route", [r for r in ROUTES if r[1] != "/docs"], ids=" ".join)
def test_without_a_token_tcp_shows_nothing(by_token, route):
    answer = _request(by_token, *route)
    assert answer.status_code == (200 if CONTRACT[route] is ANYBODY else 401), answer.text


@pytest.mark.parametrize("role", Role)
def test_a_lowered_role_never_raises(by_token, tokens, role):
    bearer = f"Bearer {tokens[role]}"
    for wanted in Role:
        headers = {"Authorization": bearer, "Hooktui-Role": wanted}
        for route in (("GET", "/v1/hooks"), ("POST", "/v1/tokens"), ("POST", ONE)):
            answer = _request(by_token, *route, **headers)
            if wanted not in LOWERED[role]:
                assert answer.status_code == 403
                assert "never raise" in answer.json()["detail"]
            else:
                assert (answer.status_code == 403) == (wanted not in CONTRACT[route])


def test_a_token_on_the_unix_socket_gives_no_role(server, tokens):
    # There the kernel says who calls: here the owner, an admin, whatever token is shown.
    with server.client(Authorization=f"Bearer {tokens['viewer']}") as client:
        assert client.get("/v1/status").json()["role"] == "admin"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("role", [None, *Role])
def test_a_user_of_the_socket_has_the_role_that_is_configured_and_no_more(role):
    roles = {} if role is None else {"nobody": role}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        with running_server(home, users=roles) as server:
            home.chmod(0o755)
            server.paths.socket.chmod(0o666)
            for wanted in (None, *Role):
                answer = ask_as(65534, server.paths.socket, "/v1/event-types", wanted)
                mine = "" if role is None else role
                acting = mine if wanted is None else wanted
                may = acting in READERS and wanted in (None, *LOWERED.get(mine, ()))
                assert answer.startswith(b"HTTP/1.1 200 " if may else b"HTTP/1.1 403 "), wanted
            with server.client() as api:
                told = api.get("/v1/audit", params={"user": "nobody"}).json()["data"]
            assert {entry["role"] for entry in told} <= {role or "none"} | LOWERED.get(role, set())
            assert all(entry["origin"].split(" ")[2] == "uid=65534" for entry in told)
