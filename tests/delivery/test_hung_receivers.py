"""A hundred receivers that hang change nothing for a hundred that do not: a matter of order.

Everything is sent to the healthy ones while every slot of the others is taken by an attempt that
has not ended. Nothing is timed; that test fails when hooks share slots, a queue or a claim.
"""

from __future__ import annotations

import resource
from collections import Counter
from collections.abc import Iterator

import pytest

from hooktui.delivery.connection import ReceiverConnection
from tests.delivery.receivers import Receivers, read_request
from tests.delivery.running_engine import OK, RunningEngine, url_of
from tests.support.waiting import until

HOOKS, SLOTS = 100, 2


@pytest.fixture(autouse=True)
def enough_files() -> Iterator[None]:
    """Some 1,200 connections, both ends of which are in this process."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = before[1] if before[1] != resource.RLIM_INFINITY else 8192
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], min(most, 8192)), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


class Hung:
    """A receiver that reads requests and never answers; counts those that are open, and ended."""

    def __init__(self) -> None:
        self.open = self.ended = 0

    async def behaviour(self, reader, writer) -> None:
        await read_request(reader)
        self.open += 1
        try:
            await reader.read()
        finally:
            self.open -= 1
            self.ended += 1


class Healthy:
    """A receiver that answers at once; counts by hook and body."""

    def __init__(self) -> None:
        self.got: Counter[tuple[int, bytes]] = Counter()

    def behaviour(self, number: int):
        async def behave(reader, writer) -> None:
            while True:
                request = await read_request(reader)
                self.got[number, request.rpartition(b"\r\n\r\n")[2]] += 1
                writer.write(OK)
                await writer.drain()

        return behave


async def test_all_that_is_healthy_gets_everything_while_a_hundred_others_hang(
    running: RunningEngine, receivers: Receivers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ReceiverConnection, "_on_timer", lambda _: None)  # no attempt times out
    hung, healthy = Hung(), Healthy()
    for number in range(HOOKS):  # in turn, so that neither kind is first
        url = url_of(await receivers.behaving(hung.behaviour))
        await running.hook(url, max_in_flight=SLOTS)
        url = url_of(await receivers.behaving(healthy.behaviour(number)))
        await running.hook(url, max_in_flight=SLOTS)

    async def all_hang() -> bool:
        return hung.open == HOOKS * SLOTS

    await running.emit(SLOTS)
    await until(all_hang)
    for _ in range(4):  # more than anybody has slots for, by hand-over and by claims
        await running.emit(2 * SLOTS)

    async def all_arrived() -> bool:
        return healthy.got.total() >= HOOKS * 9 * SLOTS

    await until(all_arrived)
    assert (hung.open, hung.ended) == (HOOKS * SLOTS, 0), "nothing was gained by one that ended"
    sent = {body for _, body in healthy.got}
    assert len(sent) == 2 * SLOTS
    assert {number for number, _ in healthy.got} == set(range(HOOKS))
    assert healthy.got.total() == HOOKS * 9 * SLOTS
