"""A producer that lets no event go until it is accepted: same key, same bytes, again and again.

What it logs as accepted was answered with 202; what the server took without being able to say so
comes again under its idempotency key, and must be the same event.
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
"""Between two events of one thread: the server's work is to be cut off, not the machine filled."""
_AGAIN = frozenset({0, 500, 502, 503})
"""Statuses after which an event comes again; 0 is no answer at all."""


@dataclass(frozen=True, slots=True)
class Sent:
    """An event that was answered with 202; ``body`` is the SHA-256 of its bytes."""

    event: str
    key: str
    body: str
    deliveries: int


@dataclass
class KeyedProducer:
    """Sends events from several threads until it is stopped.

    Attributes:
        address: the server, which may be gone and come back at any time.
        account: whose events they are.
        name: part of each key.
        threads: how many send at once.
        sent: what was accepted.
        refused: answers that no event of this producer may get.
        unanswered: how often an event had to come again.
    """

    address: ServerAddress
    account: int = 1
    name: str = "p"
    threads: int = 4
    sent: list[Sent] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    unanswered: int = 0
    _stopping: threading.Event = field(default_factory=threading.Event)
    _abandoned: threading.Event = field(default_factory=threading.Event)
    _workers: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        """Begin to send."""
        self._workers = [
            threading.Thread(target=self._send, args=(number,), name=f"producer {number}")
            for number in range(self.threads)
        ]
        for worker in self._workers:
            worker.start()

    def stop(self) -> None:
        """Begin no more events; return when the last ones are accepted (a server must run)."""
        self._stopping.set()
        for worker in self._workers:
            worker.join()

    def abandon(self) -> None:
        """Let everything go, also what is not accepted; for a run that has failed."""
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
                # Odd spacing and an escape: whoever parses and writes it again changes the bytes.
                body = b'{ "key":"%s" ,\t"x": "\\u00e9", "n": %d }' % (key.encode(), count)
                self._until_accepted(client, key, body)
                self._stopping.wait(_PAUSE_S)

    def _until_accepted(self, client: PlainClient, key: str, body: bytes) -> None:
        call = send_event(self.account, EVENT_TYPE, body, key=key)
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
                self.sent.append(Sent(accepted.id, key, digest, accepted.deliveries))
                return
