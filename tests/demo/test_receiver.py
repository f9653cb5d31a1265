"""The demo's receiver, asked over real sockets."""

import asyncio
from dataclasses import replace

import httpx
import pytest

from hooktui.demo import receiver
from hooktui.demo.receiver import Behaviour, Receiver, reply
from tests.support.waiting import LIMIT_S, until


async def test_each_path_has_its_behaviour_and_counts_its_own_requests():
    async with (
        Receiver(seed=3) as receiver,
        httpx.AsyncClient(trust_env=False, timeout=None) as client,
    ):
        for number in range(1, 7):
            for behaviour in (
                Behaviour.FAST,
                Behaviour.FLAKY,
                Behaviour.BUSY,
                Behaviour.DOWN,
                Behaviour.GONE,
            ):
                answer = await client.post(receiver.url(behaviour), content=b'{"id":1}')
                expected = reply(behaviour, 3, f"/{behaviour.value}", number)
                assert answer.status_code == expected.status
                assert answer.content == expected.body
                assert answer.headers["content-type"] == dict(expected.headers)["Content-Type"]


@pytest.fixture
def endless(monkeypatch):
    """Let the slow path respond after an hour."""

    def answer(behaviour, *given):
        delay_s = 3600 if behaviour is Behaviour.SLOW else 0
        return replace(reply(behaviour, *given), delay_s=delay_s)

    monkeypatch.setattr(receiver, "reply", answer)


async def test_a_slow_answer_holds_up_nobody_else(endless):
    async with (
        Receiver(seed=3) as receiver,
        httpx.AsyncClient(trust_env=False, timeout=None) as client,
    ):
        slow = asyncio.create_task(client.post(receiver.url(Behaviour.SLOW), content=b"{}"))
        await until(lambda: receiver._serving)
        assert (await client.post(receiver.url(Behaviour.FAST), content=b"{}")).status_code == 200
        assert not slow.done()
        slow.cancel()


async def test_a_path_without_a_behaviour_does_not_exist():
    async with (
        Receiver(seed=3) as receiver,
        httpx.AsyncClient(trust_env=False, timeout=None) as client,
    ):
        url = f"http://127.0.0.1:{receiver.port}/elsewhere"
        assert (await client.post(url, content=b"{}")).status_code == 404


async def test_what_is_not_http_or_breaks_off_leaves_the_receiver_well(caplog):
    async with (
        Receiver(seed=3) as receiver,
        httpx.AsyncClient(trust_env=False, timeout=None) as client,
    ):
        for broken in (b"\r\n\r\n", b"hello\r\n\r\n", b"POST /fast HTTP/1.1\r\nContent-Length: 9"):
            reader, writer = await asyncio.open_connection("127.0.0.1", receiver.port)
            writer.write(broken)
            writer.write_eof()
            await asyncio.wait_for(reader.read(), LIMIT_S)
            writer.close()
        assert (await client.post(receiver.url(Behaviour.FAST), content=b"{}")).status_code == 200
    assert caplog.records == []


async def test_it_ends_although_somebody_is_still_waiting(endless):
    async with httpx.AsyncClient(trust_env=False, timeout=None) as client:
        async with Receiver(seed=3) as receiver:
            slow = asyncio.create_task(client.post(receiver.url(Behaviour.SLOW), content=b"{}"))
            await until(lambda: receiver._serving)
        (outcome,) = await asyncio.gather(slow, return_exceptions=True)
        assert isinstance(outcome, httpx.HTTPError)
