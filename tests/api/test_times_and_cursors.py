"""Whatever time or place in a list a caller names: it is used or refused, never our error."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.running_server import RunningServer

EXAMPLES = 15
AGES = st.builds(
    "{}{}".format, st.integers(0, 10**13), st.sampled_from(["ms", "s", "m", "h", "d", "w", ""])
)
OFFSETS = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
TIMES = st.one_of(
    AGES,
    st.builds(datetime.isoformat, st.datetimes(timezones=OFFSETS)),
    st.sampled_from(["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59.999999-23:59"]),
    st.text(max_size=12),
)
IDS = st.one_of(
    st.sampled_from(["0", "7ZZZZZZZZZZZZ", "ZZZZZZZZZZZZZ"]),
    st.text("0123456789ABCDEFGHJKMNPQRSTVWXYZ", min_size=13, max_size=13),
)
NUMBERS = st.one_of(
    st.integers(-3, 3),
    st.sampled_from([2**31, 2**63 - 1, 2**63, -(2**63), 2**64, 10**18, 10**30]),
)
VALUES = st.one_of(NUMBERS, st.none(), st.booleans(), st.floats(allow_nan=False), st.text())


def written(values: list[object]) -> str:
    """Return the text of a cursor as the server writes it."""
    return base64.urlsafe_b64encode(json.dumps(values).encode()).rstrip(b"=").decode()


def read(cursor: str) -> list[Any]:
    return json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))


@pytest.fixture(scope="module")
def api(server: RunningServer) -> Iterator[httpx.Client]:
    """A client of a server that has at least two rows for each list."""
    with server.client() as client:
        for number, active in enumerate((False, False, True)):
            hook = {"url": "http://127.0.0.1:9/in", "events": ["job"], "active": active}
            for path, body in (
                ("hooks", hook | {"name": f"h{number}"}),
                ("accounts", {"name": f"a{number}"}),
                ("tokens", {"name": f"t{number}", "role": "viewer"}),
            ):
                assert client.post(f"/v1/{path}", json=body).status_code == 201
        for _ in range(2):
            headers = {"Content-Type": "application/json"}
            sent = client.post("/v1/events/job.failed", content=b"{}", headers=headers)
            assert sent.is_success
        yield client


def fits(answer: httpx.Response) -> None:
    assert answer.status_code in (200, 201, 404, 409, 422), (answer.status_code, answer.text)


def selection(**changed: object) -> dict[str, object]:
    return {"selection": {"hooks": [1, 2], "mode": "sent", "since": "1h"} | changed}


CALLS_WITH_A_TIME: dict[str, Callable[[httpx.Client, str], httpx.Response]] = {
    "deliveries since": lambda api, t: api.get("/v1/deliveries", params={"since": t}),
    "deliveries until": lambda api, t: api.get("/v1/deliveries", params={"until": t}),
    "deliveries q": lambda api, t: api.get("/v1/deliveries", params={"q": f"since:{t}"}),
    "events q": lambda api, t: api.get("/v1/events", params={"q": f"until:{t}"}),
    "feed q": lambda api, t: api.get("/v1/feed", params={"q": f"since:{t}"}),
    "audit since": lambda api, t: api.get("/v1/audit", params={"since": t}),
    "audit until": lambda api, t: api.get("/v1/audit", params={"until": t}),
    "plan since": lambda api, t: api.post("/v1/replays/plan", json=selection(since=t)),
    "plan until": lambda api, t: api.post("/v1/replays/plan", json=selection(until=t)),
    "plan filter": lambda api, t: api.post(
        "/v1/replays/plan", json=selection(filter=f"since:{t},1d")
    ),
    "run since": lambda api, t: api.post("/v1/replays", json=selection(since=t)),
    "run until": lambda api, t: api.post("/v1/replays", json=selection(until=t)),
    "cancel": lambda api, t: api.post(
        "/v1/deliveries/cancel", json={"q": "hook:9", "until": t}
    ),
    "give up": lambda api, t: api.post("/v1/undelivered/1/dns/give-up", json={"until": t}),
    "purge": lambda api, t: api.post("/v1/purge?account=2", json={"older_than": t}),
    "token": lambda api, t: api.post(
        "/v1/tokens", json={"name": "t", "role": "viewer", "expires_at": t}
    ),
}  # fmt: skip


# Red when a time is read that cannot be written, or that no column can hold.
@pytest.mark.parametrize("call", CALLS_WITH_A_TIME.values(), ids=CALLS_WITH_A_TIME)
def test_a_time_is_used_or_refused(api: httpx.Client, call) -> None:
    @settings(max_examples=EXAMPLES)
    @given(TIMES)
    @example("999999d")
    @example("999999999999w")
    @example("0001-01-01T00:00:00Z")
    def named(time: str) -> None:
        answer = call(api, time)
        fits(answer)
        sent = answer.json().get("selection", {})
        given = {name: sent[name] for name in ("since", "until") if sent.get(name) is not None}
        if given:  # what a plan returns is what a run is given
            again = api.post("/v1/replays/plan", json=selection(**given)).json()["selection"]
            assert given.items() <= again.items()

    named()
    fits(api.get("/v1/tokens?limit=500"))


LISTS = [
    ("/v1/hooks", ["id", "name", "created_at", "updated_at", "last_at", "waiting"]),
    ("/v1/deliveries", ["id"]),
    ("/v1/events", ["id"]),
    ("/v1/accounts", ["id", "name"]),
    ("/v1/tokens", ["id", "name"]),
    ("/v1/audit", ["id"]),
    ("/v1/undelivered", ["newest_at", "oldest_at", "count", "hook"]),
]


# Red when a value is compared that the database, or Python, cannot compare with those of the list.
@pytest.mark.parametrize(
    ("path", "sort"), [(path, sort) for path, sorts in LISTS for sort in sorts]
)
def test_a_cursor_is_used_or_refused(api: httpx.Client, path: str, sort: str) -> None:
    first = api.get(path, params={"limit": 1, "sort": sort}).json()
    begin = read(first["next"])

    @settings(max_examples=EXAMPLES)
    @given(key=VALUES, value=VALUES)
    @example(key=1, value="x")
    @example(key=1, value="\x00")
    @example(key=1, value=1)
    @example(key=1, value=1e300)
    def named(key: object, value: object) -> None:
        for values in ([*begin[:4], key, value], [*begin[:4], begin[4], value]):
            fits(api.get(path, params={"cursor": written(values)}))

    named()


CHANGES: dict[str, str] = {
    "account": "2", "action": "x", "cause": "dns", "concerned": "true", "event": "{event}",
    "health": "failing", "hook": "2", "key": "x", "q": "job", "result": "ok", "role": "admin",
    "since": "1h", "state": "open", "status": "failed", "target": "x", "trigger": "event",
    "type": "job.failed", "until": "1s", "user": "x", "active": "false",
}  # fmt: skip
PAGES = {"limit", "cursor", "sort", "order", "from_end"}


# Red when a cursor does not say what its list was selected by: rows are skipped without notice.
def test_a_cursor_continues_only_the_list_that_it_is_of(api: httpx.Client) -> None:
    event = api.get("/v1/events?limit=1").json()["data"][0]["id"]
    nexts, wrong = {}, []
    for path, operations in api.get("/openapi.json").json()["paths"].items():
        names = {one["name"] for one in operations.get("get", {}).get("parameters", ())}
        if "cursor" not in names:
            continue
        url = path.replace("{event}", event)
        cursor = nexts[url] = api.get(url, params={"limit": 1}).json()["next"]
        if cursor is None:
            continue
        for params in ({}, {"limit": 3}, {"from_end": "true"}):
            assert api.get(url, params={"cursor": cursor} | params).status_code == 200
        of_path = set(re.findall(r"{(\w+)}", path))
        for name in sorted(names - PAGES - of_path):
            other = {name: CHANGES[name].format(event=event)}
            answer = api.get(url, params={"cursor": cursor} | other)
            refused = answer.status_code == 422 and "repeat those of its page" in answer.text
            if not refused and answer.status_code != 404:  # an event of one account
                wrong.append((url, other, answer.status_code))
            own = api.get(url, params={"limit": 1} | other).json().get("next")
            if own is not None:
                assert api.get(url, params={"cursor": own} | other).status_code == 200
    assert wrong == []
    for url in nexts:
        for other_url, cursor in nexts.items():
            if cursor is not None and url != other_url:
                assert api.get(url, params={"cursor": cursor}).status_code == 422, (url, other_url)
    assert len(nexts) == 10
    assert sum(cursor is not None for cursor in nexts.values()) >= 8


# Red when the list does not name the account of a token.
def test_a_cursor_is_of_one_account(api: httpx.Client, server: RunningServer) -> None:
    body = {"name": "bound", "role": "viewer"}
    token = api.post("/v1/tokens?account=2", json=body).json()["token"]
    host, port = server.listen[0]
    cursor = api.get("/v1/hooks?limit=1").json()["next"]
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=f"http://{host}:{port}", headers=headers, trust_env=False) as bound:
        assert bound.get("/v1/hooks").status_code == 200
        assert bound.get("/v1/hooks", params={"cursor": cursor}).status_code == 422


def test_a_damaged_cursor_is_refused(api: httpx.Client) -> None:
    cursor = api.get("/v1/hooks?limit=1").json()["next"]
    damaged = [cursor[:length] for length in range(1, len(cursor))]
    damaged += [cursor + extra for extra in ("A", "é", "%00")]
    statuses = {api.get("/v1/hooks", params={"cursor": one}).status_code for one in damaged}
    assert statuses == {422}


CALLS_WITH_A_PLACE: dict[str, Callable[[httpx.Client, str], httpx.Response]] = {
    "feed after": lambda api, p: api.get("/v1/feed", params={"after": p}),
    "feed before": lambda api, p: api.get("/v1/feed", params={"before": p}),
    "verify after": lambda api, p: api.get("/v1/audit/verify", params={"after": p}),
    "verify known": lambda api, p: api.get(
        "/v1/audit/verify", params={"known": f"{p}:{'0' * 64}"}
    ),
    "plan": lambda api, p: api.post("/v1/replays/plan", json=selection() | {"after": p}),
    "purge": lambda api, p: api.post(
        "/v1/purge?account=2", json={"older_than": "1d", "after": p}
    ),
    "cancel": lambda api, p: api.post(
        "/v1/deliveries/cancel", json={"q": "hook:9", "until": "1d", "after": p}
    ),
    "give up": lambda api, p: api.post(
        "/v1/undelivered/1/dns/give-up", json={"until": "1d", "after": p}
    ),
}  # fmt: skip
PLACES = st.one_of(
    NUMBERS.map(str),
    st.builds("{}.{}".format, NUMBERS, NUMBERS),
    st.builds("{}.dlv_{}".format, NUMBERS, IDS),
    st.builds("{}_{}".format, st.sampled_from(["evt", "dlv"]), IDS),
    st.builds(lambda *numbers: written(["plan", *numbers]), VALUES, VALUES, VALUES),
    st.builds(lambda *numbers: written(["plan", *numbers]), NUMBERS, NUMBERS, NUMBERS),
    st.text(max_size=12),
)


@pytest.mark.parametrize("call", CALLS_WITH_A_PLACE.values(), ids=CALLS_WITH_A_PLACE)
def test_a_place_is_used_or_refused(api: httpx.Client, call) -> None:
    @settings(max_examples=EXAMPLES)
    @given(PLACES)
    @example(written(["plan", 0, 10**30, 5]))
    @example(written(["plan", 0, 5, 10**30]))
    def named(place: str) -> None:
        fits(call(api, place))

    named()
