"""A producer that repeats each event, with the same key and bytes, until it is accepted.

Events with a 202 are recorded as accepted; an event that the server stored without being able to
respond is repeated under its idempotency key, and must be the same event.
"""

from __future__ import annotations

import hashlib
import itertools
import threading
from dataclasses import dataclass, field

from hooktui.client.address import ServerAddress
from hooktui.client.calls import send_event
from hooktui.client.sync_client import PlainClient
from hooktui.domain.errors import HooktuiError

EVENT_TYPE = "job.failed"
_AGAIN_S = 0.02
_PAUSE_S = 0.002
"""Pause between two events of one thread: kills should interrupt work, not a full queue."""
_AGAIN = frozenset({0, 500, 502, 503})
"""Statuses after which an event is repeated; 0: no response at all."""


@dataclass(frozen=True, slots=True)
class Sent:
    """An event that got a 202; ``body`` is the SHA-256 of its bytes."""

    event: str
    key: str
    body: str


@dataclass
class KeyedProducer:
    """Sends events from several threads until it is stopped.

    Attributes:
        address: the server, which may be down at times.
        name: part of each key.
        threads: number of sending threads.
        sent: accepted events.
        refused: responses that no event of this producer may get.
        unanswered: how often an event had to be repeated.
    """

    address: ServerAddress
    name: str = "p"
    threads: int = 4
    sent: list[Sent] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    unanswered: int = 0
    _stopping: threading.Event = field(default_factory=threading.Event)
    _abandoned: threading.Event = field(default_factory=threading.Event)
    _workers: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        """Start to send."""
        self._workers = [
            threading.Thread(target=self._send, args=(number,), name=f"producer {number}")
            for number in range(self.threads)
        ]
        for worker in self._workers:
            worker.start()

    def stop(self) -> None:
        """Start no more events; return when all are accepted (a server must be running)."""
        self._stopping.set()
        for worker in self._workers:
            worker.join()

    def abandon(self) -> None:
        """Stop without waiting for acceptance; for a run that has failed."""
        self._stopping.set()
        self._abandoned.set()
        for worker in self._workers:
            worker.join()

    def _send(self, number: int) -> None:
        with PlainClient(self.address) as client:
            for count in itertools.count():
                if self._stopping.is_set():
                    return
                key = f"{self.name}-{number}-{count}"
                # Odd spacing and an escape: a parser that re-encodes the body changes its bytes.
                body = b'{ "key":"%s" ,\t"x": "\\u00e9", "n": %d }' % (key.encode(), count)
                self._until_accepted(client, key, body)
                self._stopping.wait(_PAUSE_S)

    def _until_accepted(self, client: PlainClient, key: str, body: bytes) -> None:
        call = send_event(1, EVENT_TYPE, body, key=key)
        while not self._abandoned.is_set():
            try:
                accepted = client.call(call)
            except HooktuiError as error:
                if error.status not in _AGAIN:
                    self.refused.append(f"{key}: {error}")
                    return
                self.unanswered += 1
                self._abandoned.wait(_AGAIN_S)
            else:
                digest = hashlib.sha256(body).hexdigest()
                self.sent.append(Sent(accepted.id, key, digest))
                return
