"""What goes out: paths, queries, headers, bodies and connections."""

import contextlib
import json
from functools import partial

import pytest

from hooktui.client import PlainClient, calls
from hooktui.domain.errors import HooktuiError, NotFound, Refused
from hooktui.domain.wire.feed import AttemptLine
from tests.support.scripted_server import ATTEMPT, DELIVERY, HOOK, Answer, answer, page, serving
from tests.support.waiting import LIMIT_S

ACCEPTED = {
    "id": "evt_1", "type": "job.failed", "account": 1, "deliveries": 1, "skipped": 0,
    "duplicate": False,
}  # fmt: skip


async def test_a_list_says_which_part_it_wants(ask, server):
    server.will(page())
    await ask(calls.list_hooks(3, limit=5, cursor="a&b", sort="name", order="desc", from_end=True))
    method, path = server.asked[0].method, server.asked[0].path
    assert method == "GET"
    assert path == ("/v1/hooks?account=3&limit=5&cursor=a%26b&sort=name&order=desc&from_end=true")


async def test_what_is_not_given_is_not_asked(ask, server):
    server.will(page())
    await ask(calls.list_deliveries(None))
    assert server.asked[0].path == "/v1/deliveries"


async def test_ids_cannot_leave_their_place_in_the_path(ask, server):
    server.will(answer(ACCEPTED, 202))
    await ask(calls.send_event(1, "hooks?x=1%#", b"{}"))
    assert server.asked[0].path == "/v1/events/hooks%3Fx%3D1%25%23?account=1"


# Red when such an id is sent: the server can say only that it does not accept the path.
@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../hooks", "a\\b", "a\nb", "\x7f"])
def test_what_no_path_can_hold_is_no_id(name):
    for call in (
        partial(calls.get_event, name),
        partial(calls.get_delivery, name),
        partial(calls.acknowledge_undelivered, 6, name),
        partial(calls.acknowledge_alert, name),
    ):
        with pytest.raises(NotFound) as missing:
            call()
        assert missing.value.detail == f"{name!r} is not an id or name"
    # As for every other unknown type: the contract has 422 for it.
    with pytest.raises(Refused) as refused:
        calls.send_event(1, name, b"{}")
    assert refused.value.detail == f"unknown event type {name!r}; see: hooktui events types"


async def test_an_event_goes_out_byte_by_byte_with_its_key(ask, server):
    body = b'{ "n" :\t1e2, "x": "\\u00e9\xc3\xa9" }\r\n'
    server.will(answer(ACCEPTED, 202))
    accepted = await ask(calls.send_event(1, "job.failed", body, key="k 1"))
    assert accepted.id == "evt_1"
    asked = server.asked[0]
    assert asked.body == body
    assert asked.headers["content-type"] == "application/json"
    assert asked.headers["idempotency-key"] == "k 1"


async def test_a_key_goes_out_in_utf_8(ask, server):
    server.will(answer(ACCEPTED, 202))
    await ask(calls.send_event(1, "job.failed", b"{}", key="k\u00fc\u65e5"))
    sent = server.asked[0].headers["idempotency-key"].encode("latin-1")
    assert sent.decode() == "k\u00fc\u65e5"


async def test_many_events_go_out_as_lines(ask, server):
    lines = b'{"type":"job.failed","data":{}}\n'
    server.will(answer({"accepted": 1, "data": [ACCEPTED]}, 202))
    accepted = await ask(calls.send_many(1, lines))
    assert accepted.accepted == 1
    assert accepted.data[0].id == "evt_1"
    assert server.asked[0].headers["content-type"] == "application/x-ndjson"


async def test_the_token_goes_over_tcp_only(ask, server):
    server.will(page())
    await ask(calls.list_hooks(1))
    expected = None if server.address.socket else "Bearer hkt_1_test"
    assert server.asked[0].headers.get("authorization") == expected


async def test_a_role_is_lowered_on_every_call(connected, server):
    server.will(page())
    async with connected(server.address, "viewer") as ask:
        await ask(calls.list_hooks(1))
        await ask(calls.list_hooks(1))
    assert [a.headers["hooktui-role"] for a in server.asked] == ["viewer", "viewer"]


async def test_calls_share_a_connection(ask, server):
    server.will(page(HOOK))
    for _ in range(3):
        await ask(calls.list_hooks(1))
    assert server.connections == 1


async def test_a_connection_that_the_server_closed_is_replaced(ask, server):
    server.will(page(), Answer(200, close_after=True), page())
    await ask(calls.list_hooks(1))
    with contextlib.suppress(HooktuiError):
        await ask(calls.list_hooks(1))
    assert server.closed.acquire(timeout=LIMIT_S)
    await ask(calls.list_hooks(1))
    assert server.connections == 2


async def test_a_long_socket_path_is_reached(connected, tmp_path):
    folder = tmp_path.joinpath(*["a-folder-with-a-long-name"] * 6)
    folder.mkdir(parents=True)
    with serving(folder / "server.sock") as server:
        server.will(page(HOOK))
        async with connected(server.address) as ask:
            assert (await ask(calls.list_hooks(1))).data[0].id == 12


async def test_a_ping_gives_its_delivery_with_the_attempt(ask, server):
    detail = {**DELIVERY, "attempts": [ATTEMPT], "request": None, "string_signed": None}
    server.will(answer({"delivery": {**detail, "attempt": ATTEMPT}}))
    delivery = await ask(calls.ping_hook(12))
    assert delivery.attempts[0].status_code == 500
    assert delivery.attempts[0].response.headers == (("Server", "x"),)


async def test_the_feed_gives_lines_of_several_kinds(ask, server):
    line = {**ATTEMPT, "kind": "attempt", "at": "2026-11-25T00:00:01.000Z", "hook": 12,
            "account": 1, "event": "evt_1", "event_type": "job.failed", "trigger": "event",
            "status": "pending"}  # fmt: skip
    fresh = {"kind": "weather", "at": "2026-11-25T00:00:02.000Z", "rain": True}
    server.will(answer({"data": [line, fresh], "next": "p2"}))
    page = await ask(calls.follow_feed(1, after="p1", wait_s=3, limit=10, q="status:failed"))
    assert (page.next, page.reset) == ("p2", False)
    assert [one.kind for one in page.data] == ["attempt", "weather"]
    attempt = page.data[0].read(AttemptLine)
    assert (attempt.hook, attempt.number, attempt.status) == (12, 1, "pending")
    assert page.data[0].fields == line
    assert server.asked[0].path == ("/v1/feed?account=1&after=p1&wait=3&limit=10&q=status%3Afailed")


async def test_a_page_of_the_feed_says_how_far_it_searched(ask, server):
    part = {"before": "p1", "searched_to": "2026-11-25T00:00:00.000Z"}
    server.will(answer({"data": [], "next": "p2", **part}))
    page = await ask(calls.follow_feed(1, from_end=True, before="p2"))
    assert (page.before, page.searched_to) == (part["before"], part["searched_to"])
    assert server.asked[0].path == "/v1/feed?account=1&before=p2&wait=0&from_end=true"


async def test_a_position_that_is_gone_is_reported(ask, server):
    server.will(answer({"data": [], "reset": True, "next": "p9"}))
    page = await ask(calls.follow_feed(1, after="p1"))
    assert page.reset
    assert page.data == ()


def test_the_answer_as_it_came_is_there_for_output(tmp_path):
    with serving(tmp_path / "s.sock") as server:
        server.will(answer({**HOOK, "colour": "green"}))
        with PlainClient(server.address) as client:
            assert client.response_json(calls.get_hook(12)) == json.loads(
                json.dumps({**HOOK, "colour": "green"})
            )
