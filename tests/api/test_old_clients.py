"""Clients of the release before: they require a number in ``max_in_flight``."""

from __future__ import annotations

import pytest
from msgspec import ValidationError, convert

from hooktui import __version__
from hooktui.client.address import ServerAddress
from hooktui.client.sync_client import request_headers
from tests.support.running_server import running_server

OLD = {"User-Agent": "hooktui/0.1.0"}
NEW = {"User-Agent": request_headers(ServerAddress(), None)["User-Agent"]}
LIMITS = ({}, {"max_in_flight_cap": 50}, {"max_in_flight_cap": 900}, {"max_in_flight": 3})
SEEN_BY_OLD, SEEN_BY_NEW = [200, 50, 200, 3], [None, None, None, 3]


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    given = {"auto_in_flight_max": 200, "allow_networks": "127.0.0.0/8"}
    home = tmp_path_factory.mktemp("old")
    with running_server(home, **given) as server, server.client() as client:
        yield client


def as_old(hook: dict) -> int:
    """Read ``max_in_flight`` as the release before did: ``msgspec.convert`` to an ``int``."""
    return convert(hook["max_in_flight"], int)


def calls(api, headers):
    """Return the hooks in the response of each call that returns some."""
    api.headers.update(headers)
    body = {"url": "http://127.0.0.1:9/", "events": ["job"]}
    created = [api.post("/v1/hooks", json=body | fields).json() for fields in LIMITS]
    ids = [hook["id"] for hook in created]
    edited = [api.patch(f"/v1/hooks/{one}", json={"name": "b"}).json() for one in ids]
    shown = [api.get(f"/v1/hooks/{one}").json() for one in ids]
    listed = {hook["id"]: hook for hook in api.get("/v1/hooks?limit=500").json()["data"]}
    feed = api.get("/v1/feed?from_end=true&limit=500").json()["data"]
    followed = {item["id"]: item for item in feed if item["kind"] == "hook"}
    return created, edited, shown, [listed[one] for one in ids], [followed[one] for one in ids]


def test_an_old_client_gets_the_most_that_auto_may_send(api):
    for hooks in calls(api, OLD):
        assert [as_old(hook) for hook in hooks] == SEEN_BY_OLD


@pytest.mark.parametrize("headers", [NEW, {"User-Agent": "curl/8.5.0"}, {"User-Agent": ""}])
def test_every_other_client_gets_null(api, headers):
    for hooks in calls(api, headers):
        assert [hook["max_in_flight"] for hook in hooks] == SEEN_BY_NEW
    with pytest.raises(ValidationError):
        as_old(hooks[0])


def test_an_edit_by_an_old_client_leaves_auto_unless_it_sets_a_number(api):
    api.headers.update(OLD)
    body = {"url": "http://127.0.0.1:9/", "events": ["job"], "max_in_flight_cap": 50}
    hook = f"/v1/hooks/{api.post('/v1/hooks', json=body).json()['id']}"
    api.patch(hook, json={"name": "c", "version": 1})
    api.headers.update(NEW)
    kept = api.get(hook).json()
    assert (kept["max_in_flight"], kept["max_in_flight_cap"]) == (None, 50)
    api.headers.update(OLD)
    assert api.patch(hook, json={"max_in_flight": 20}).json()["max_in_flight"] == 20
    assert api.get(hook).json()["max_in_flight_cap"] is None


def test_a_client_states_the_revision_that_it_reads():
    assert NEW["User-Agent"] == f"hooktui/{__version__} api/2"
