"""What the service manager is told: ready, stopping, a line of status, and that all of it moves.

The protocol of sd_notify(3): one datagram of ``NAME=value`` lines to the socket that systemd named.
The watchdog is fed only while the event loop turns and every loop moves, so a server that is
wedged is started again, which loses nothing. `is_journal` tells whether the journal reads the log.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TextIO

from hooktui.domain.heartbeat import Heartbeat

STATUS_EVERY_S: Final = 10.0
_FEEDS: Final = 3  # in one interval of the watchdog: a late one is no reason to be killed

_log = logging.getLogger(__name__)


class Notifier:
    """Tells the service manager; nothing when nobody asked to be told.

    Args:
        address: of a datagram socket; ``@`` begins an abstract one. None: nobody listens.
        watchdog_s: how long the manager waits for a sign of life; None: it does not.
    """

    def __init__(self, address: str | None = None, watchdog_s: float | None = None) -> None:
        self._address = address
        self.watchdog_s = watchdog_s if address else None
        self._stopping = False

    def tell(self, **news: object) -> None:
        """Send some news, such as ``READY=1``; that it cannot be sent is logged and no fault."""
        if self._address is None:
            return
        name = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        lines = "\n".join(f"{key}={value}" for key, value in news.items())
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as one:
                one.setblocking(False)
                one.sendto(lines.encode(), name)
        except OSError as error:
            _log.warning("systemd could not be notified of %s: %s", ", ".join(news), error.strerror)

    def stopping(self) -> None:
        """Tell of the stop; from now on its own deadline holds."""
        self._stopping = True
        self.tell(STOPPING=1, STATUS="ends what is being sent")

    async def keep_telling(
        self,
        heartbeats: Sequence[Heartbeat],
        working: Callable[[], bool],
        status: Callable[[], str],
    ) -> None:
        """Feed the watchdog while all moves, and show a status, until cancelled."""
        every_s = STATUS_EVERY_S
        if self.watchdog_s is not None:
            every_s = min(every_s, self.watchdog_s / _FEEDS)
        fed = True
        while self._address is not None:
            wedged = [] if self._stopping else self._wedged(heartbeats, working)
            if not wedged:
                self.tell(WATCHDOG=1) if self._stopping else self.tell(WATCHDOG=1, STATUS=status())
            elif fed:
                _log.error("the watchdog is not fed: %s", "; ".join(wedged))
                self.tell(STATUS=f"wedged: {'; '.join(wedged)}")
            fed = not wedged
            await asyncio.sleep(every_s)

    def _wedged(self, heartbeats: Sequence[Heartbeat], working: Callable[[], bool]) -> list[str]:
        if self.watchdog_s is None:
            return []
        longest_s = self.watchdog_s
        found = [
            f"the {heartbeat.name} has been at one step for {heartbeat.age_s:.0f} s"
            for heartbeat in heartbeats
            if heartbeat.age_s > longest_s
        ]
        return found if working() else [*found, "nothing is sent any more"]


def notifier_of(environ: Mapping[str, str]) -> Notifier:
    """Return what tells whoever the environment names (``NOTIFY_SOCKET``, ``WATCHDOG_USEC``)."""
    address = environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return Notifier()
    usec, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    meant = pid in ("", str(os.getpid()))
    watchdog_s = int(usec) / 1e6 if usec.isdecimal() and int(usec) and meant else None
    return Notifier(address, watchdog_s)


def is_journal(environ: Mapping[str, str], stream: TextIO) -> bool:
    """Return whether the journal reads a stream: ``JOURNAL_STREAM`` is its device and inode.

    The variable alone says nothing: programs of a desktop hand it on to their terminals.
    """
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):  # closed, or no file
        return False
    return environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"
