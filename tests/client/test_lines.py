"""Answers that come in lines: what each client yields, and what it says of those that break."""

import json
from contextlib import aclosing, closing

import pytest

from hooktui.client import AsyncClient, PlainClient, calls
from hooktui.domain.errors import HooktuiError, NoServer, NotFound, Unavailable
from tests.support.scripted_server import Answer, answer, problem

NDJSON = "application/x-ndjson"
CALL = calls.follow_diagnosis(12)


async def plain(address):
    with PlainClient(address) as client, closing(client.lines(CALL)) as lines:
        return list(lines)


async def asynchronous(address):
    async with AsyncClient(address) as client, aclosing(client.lines(CALL)) as lines:
        return [line async for line in lines]


@pytest.fixture(params=[plain, asynchronous], ids=["plain", "asynchronous"])
def read(request, server):
    async def read_it():
        return await request.param(server.address)

    return read_it


def lines_of(*values: object, **more: object) -> Answer:
    body = b"".join(json.dumps(value).encode() + b"\n" for value in values)
    return Answer(200, body, NDJSON, **more)


async def test_each_line_is_a_value(read, server):
    checks = [{"name": "name", "state": "ok", "value": "found"}]
    server.will(lines_of({"running": "name"}, {"checks": checks, "running": "connect"}))
    one, two = await read()
    assert (one.running, one.checks) == ("name", ())
    assert (two.running, two.checks[0].value) == ("connect", "found")
    assert server.asked[0].headers["accept"] == NDJSON


async def test_a_problem_in_a_line_is_the_error_that_it_names(read, server):
    fields = {"title": "Not now", "status": 503, "detail": "the server is stopping"}
    server.will(lines_of({"running": "name"}, {"problem": fields}))
    with pytest.raises(Unavailable, match="the server is stopping"):
        await read()


async def test_a_refusal_is_reported_as_everywhere(read, server):
    server.will(problem(404, "there is no hook 12"))
    with pytest.raises(NotFound, match="no hook 12"):
        await read()


@pytest.mark.parametrize(
    "strange",
    [
        answer({}),
        Answer(200, b"<html>", "text/html"),
        Answer(200, b"<html>\n", NDJSON),
        lines_of({"running": 7}),
        lines_of([]),
        Answer(204),
    ],
)
async def test_what_is_no_such_response_is_reported_as_that(read, server, strange):
    server.will(strange)
    with pytest.raises(NoServer, match="not a hooktui server of this version"):
        await read()


async def test_an_answer_that_breaks_off_is_an_error(read, server):
    line = lines_of({"running": "name"}).body
    chunk = b"%x\r\n%b\r\n" % (len(line), line)
    server.will(
        Answer(200, line, NDJSON, headers={"Content-Length": "999"}, close_after=True),
        Answer(200, chunk, NDJSON, headers={"Transfer-Encoding": "chunked"}, close_after=True),
        Answer(drop=True),
    )
    for _ in range(3):
        with pytest.raises(HooktuiError, match="closed the connection before it responded"):
            await read()


def test_a_plain_connection_is_kept_after_the_last_line_and_closed_in_the_middle(server):
    server.will(lines_of({"running": "name"}, {"running": "connect"}))
    with PlainClient(server.address) as client:
        for _ in range(2):
            assert len(list(client.lines(CALL))) == 2
        assert server.connections == 1
        with closing(client.lines(CALL)) as lines:
            next(lines)
        assert server.closed.acquire(timeout=10)
