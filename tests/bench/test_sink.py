"""The responses of the receiver of a measurement."""

import asyncio
from collections import Counter

import pytest

from hooktui.bench import sink
from tests.support.waiting import LIMIT_S


class Connection(asyncio.Transport):
    """Saves the statuses of the responses, and sets an event once there are enough."""

    def __init__(self, expected):
        super().__init__()
        self.expected = expected
        self.statuses = []
        self.done = asyncio.Event()

    def is_closing(self):
        return False

    def write(self, data):
        self.statuses.append(int(data.split()[1]))
        if len(self.statuses) == self.expected:
            self.done.set()


@pytest.fixture
def ledger():
    return sink._Ledger()


async def sent(ledger, path, events):
    """Send one request for each event at once; return the number of responses by status."""
    receiver, connection = sink._Receiver(ledger), Connection(len(events))
    receiver.connection_made(connection)
    for event in events:
        head = f"POST {path} HTTP/1.1\r\nwebhook-id: {event}\r\nContent-Length: 2\r\n\r\n{{}}"
        receiver.data_received(head.encode())
    async with asyncio.timeout(LIMIT_S):
        await connection.done.wait()
    return Counter(connection.statuses)


async def test_what_exceeds_twenty_at_once_is_refused(ledger):
    assert await sent(ledger, sink.CAPPED, range(25)) == {200: 20, 503: 5}
    assert (ledger.taken, ledger.in_progress, max(ledger.at_once)) == (20, 0, 25)
    assert await sent(ledger, sink.CAPPED, range(3)) == {200: 3}


async def test_every_attempt_of_a_poisoned_event_is_refused(ledger):
    events = [f"evt_{number}" for number in range(1000)]
    poisoned = sum(sink.is_poisoned(event.encode()) for event in events)
    assert 5 < poisoned < 50
    for _ in range(2):
        assert await sent(ledger, sink.POISONED, events) == {200: 1000 - poisoned, 503: poisoned}


async def test_one_worker_takes_one_request_after_another(ledger):
    loop = asyncio.get_running_loop()
    begun_s = loop.time()
    await sent(ledger, sink.WORKER, range(5))
    assert loop.time() - begun_s >= 5 * sink.WORKER_S
    assert ledger.at_once == [1, 2, 3, 4, 5]


def test_a_running_sink_reports_its_requests(tmp_path):
    with sink.running_sink(tmp_path, {}) as running:
        assert (running.taken(), running.at_once()) == (0, (0, 0))
