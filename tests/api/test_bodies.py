"""What counts as JSON, and what is refused while it arrives."""

from __future__ import annotations

import asyncio

import pytest
from starlette.requests import ClientDisconnect

from hooktui.api import bodies, ingest
from hooktui.api.bodies import (
    MAX_BLANK_LINES,
    MAX_LINE_BYTES,
    BodyBudget,
    _Started,
    check_json_type,
    lines_of,
    read_body,
)
from hooktui.api.routes import feed
from hooktui.domain.errors import TooLarge, Unavailable, Unsupported
from hooktui.slices import in_slices


@pytest.mark.parametrize(
    "media_type",
    [None, "", "application/json", "Application/JSON; charset=UTF-8", "application/vnd.a.v2+json"],
)
def test_json_media_types_and_none_at_all_are_taken(media_type):
    check_json_type(_scope(media_type))


@pytest.mark.parametrize(
    "media_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json; charset=utf-16",
        "application/jsonx",
        "multipart/form-data; boundary=x",
    ],
)
def test_other_media_types_are_refused_and_the_right_one_is_named(media_type):
    with pytest.raises(Unsupported, match="application/json"):
        check_json_type(_scope(media_type))


def test_compressed_bodies_are_refused():
    with pytest.raises(Unsupported, match="compressed"):
        check_json_type({"headers": [(b"content-encoding", b"gzip")]})


async def test_a_body_is_put_together_from_its_parts():
    assert await read_body(_scope(None), _arriving(b"ab", b"", b"cd"), 4, BodyBudget()) == b"abcd"


async def test_a_body_that_grows_too_long_is_refused_before_the_rest_is_read():
    receive = _arriving(b"x" * 6, b"x" * 6, b"never read")
    with pytest.raises(TooLarge):
        await read_body(_scope(None), receive, 10, BodyBudget())
    assert (await receive())["body"] == b"never read"


async def test_a_body_that_announces_too_much_is_not_read_at_all():
    receive = _arriving(b"x")
    scope = {"headers": [(b"content-length", b"11")]}
    with pytest.raises(TooLarge):
        await read_body(scope, receive, 10, BodyBudget())
    assert (await receive())["body"] == b"x"


async def test_bodies_that_are_too_much_together_wait_until_others_are_done():
    bodies, first, second = BodyBudget(10), _scope(None), _scope(None)
    await read_body(first, _arriving(b"x" * 3, b"x" * 3), 10, bodies)
    with pytest.raises(Unavailable):
        await read_body(second, _arriving(b"x" * 3, b"x" * 3), 10, bodies)
    bodies.release(second)
    assert bodies.size == 6
    bodies.release(first)
    assert bodies.size == 0


async def test_a_client_that_goes_away_is_no_short_body():
    async def receive():
        return {"type": "http.disconnect"}

    with pytest.raises(ClientDisconnect):
        await read_body(_scope(None), receive, 10, BodyBudget())


def test_lines_are_numbered_from_zero_and_blank_ones_are_empty():
    assert list(lines_of(b"a\n\n b\r\n")) == [(0, b"a"), (1, b""), (2, b" b\r")]


# Red without the look at the length of a line, which comes before anything reads it.
def test_a_line_that_is_too_long_is_refused_before_it_is_looked_at():
    lines = lines_of(b"{}\n" + b" " * (MAX_LINE_BYTES + 1) + b"\n{}")
    assert next(lines) == (0, b"{}")
    with pytest.raises(TooLarge, match="line 2 has 266,241 bytes"):
        next(lines)


# Red without the count of blank lines: 8 MiB of them took 0.1 to 0.4 s.
def test_very_many_blank_lines_are_refused():
    *blank, last = lines_of(b"\n" * MAX_BLANK_LINES + b"{}")
    assert last == (MAX_BLANK_LINES, b"{}")
    assert blank == [(number, b"") for number in range(MAX_BLANK_LINES)]
    with pytest.raises(TooLarge, match="10,000 lines are blank"):
        list(lines_of(b"\n \r" * MAX_BLANK_LINES))


def _scope(media_type):
    headers = [] if media_type is None else [(b"content-type", media_type.encode())]
    return {"headers": headers}


def _arriving(*parts):
    left = list(parts)

    async def receive():
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    return receive


# Red without the key: each of a caller's bodies has a place of its own, and others wait for all.
def test_the_long_work_of_one_caller_takes_turns_with_that_of_others(api, account, monkeypatch):
    turns: list[tuple[object, ...]] = []

    async def spied(steps, *keys):
        turns.append(keys)
        return await in_slices(steps, *keys)

    for module in (bodies, ingest, feed):
        monkeypatch.setattr(module, "in_slices", spied)
    large = b'{"a":"' + b"x" * 100_000 + b'"}'
    line = b'{"type":"job.failed","data":{}}'
    for path, content, kind in (
        ("/v1/events/job.failed", large, "application/json"),
        ("/v1/events", line, "application/x-ndjson"),
    ):
        headers = {"Content-Type": kind}
        params = {"account": account}
        assert api.post(path, params=params, content=content, headers=headers).status_code == 202
    assert api.get("/v1/feed", params={"account": account}).status_code == 200
    users = {key[1] for keys in turns for key in keys if key[0] == "caller"}
    assert [len(keys) for keys in turns] == [1, 1, 1]
    assert len(users) == 1
    assert "" not in users


async def test_what_needs_no_wait_is_done_at_once():
    async def work() -> int:
        return 7

    started = _Started(work())
    assert started.done
    assert started.result == 7


async def test_what_waits_goes_on_where_it_was():
    seen: list[int] = []
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def work() -> int:
        seen.append(await future)
        await asyncio.sleep(0)
        seen.append(2)
        return 3

    started = _Started(work())
    assert not started.done
    asyncio.get_running_loop().call_soon(future.set_result, 1)
    assert await started == 3
    assert seen == [1, 2]


# Red when a deadline, or the end of the task, does not arrive where the work waits.
async def test_a_deadline_arrives_inside():
    seen: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    started = _Started(work())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await started
    assert seen == ["cancelled"]


async def test_an_error_is_raised_to_the_waiting():
    async def work() -> None:
        await asyncio.sleep(0)
        raise ValueError("no")

    started = _Started(work())
    with pytest.raises(ValueError, match="no"):
        await started
