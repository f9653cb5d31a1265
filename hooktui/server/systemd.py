"""Notifies the service manager: ready, stopping, a status line, and the watchdog.

The protocol of sd_notify(3): one datagram of ``NAME=value`` lines to the socket that systemd named.
The watchdog is notified only while the event loop and every heartbeat make progress, so a hung
server is restarted, without loss. `is_journal` returns whether the journal reads the log.
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
_NOTICES: Final = 3  # per watchdog interval, so that one late notice does not kill the server

_log = logging.getLogger(__name__)


class Notifier:
    """Sends notices to the service manager, if there is one.

    Args:
        address: of a datagram socket; ``@`` begins an abstract one. None: no service manager.
        watchdog_s: interval of the watchdog in seconds; None: no watchdog.
    """

    def __init__(self, address: str | None = None, watchdog_s: float | None = None) -> None:
        self._address = address
        self.watchdog_s = watchdog_s if address else None
        self._stopping = False

    def send(self, **news: object) -> None:
        """Send variables, such as ``READY=1``; a failure is logged and ignored."""
        if self._address is None:
            return
        name = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        lines = "\n".join(f"{key}={value}" for key, value in news.items())
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
                channel.setblocking(False)
                channel.sendto(lines.encode(), name)
        except OSError as error:
            _log.warning("systemd could not be notified of %s: %s", ", ".join(news), error.strerror)

    def stopping(self) -> None:
        """Announce the stop; from then on the stop timeout applies."""
        self._stopping = True
        self.send(STOPPING=1, STATUS="finishing attempts in flight")

    async def run(
        self,
        heartbeats: Sequence[Heartbeat],
        working: Callable[[], bool],
        status: Callable[[], str],
    ) -> None:
        """Notify the watchdog while there is progress, and update the status, until cancelled."""
        every_s = STATUS_EVERY_S
        if self.watchdog_s is not None:
            every_s = min(every_s, self.watchdog_s / _NOTICES)
        notified = True
        while self._address is not None:
            wedged = [] if self._stopping else self._wedged(heartbeats, working)
            if not wedged:
                self.send(WATCHDOG=1) if self._stopping else self.send(WATCHDOG=1, STATUS=status())
            elif notified:
                _log.error("the watchdog is not notified: %s", "; ".join(wedged))
                self.send(STATUS=f"wedged: {'; '.join(wedged)}")
            notified = not wedged
            await asyncio.sleep(every_s)

    def _wedged(self, heartbeats: Sequence[Heartbeat], working: Callable[[], bool]) -> list[str]:
        if self.watchdog_s is None:
            return []
        longest_s = self.watchdog_s
        stalled = [
            f"the {heartbeat.name} has been in one step for {heartbeat.age_s:.0f} s"
            for heartbeat in heartbeats
            if heartbeat.age_s > longest_s
        ]
        return stalled if working() else [*stalled, "sending has stopped"]


def notifier_of(environ: Mapping[str, str]) -> Notifier:
    """Return the notifier for the environment (``NOTIFY_SOCKET``, ``WATCHDOG_USEC``)."""
    address = environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return Notifier()
    usec, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    meant = pid in ("", str(os.getpid()))
    watchdog_s = int(usec) / 1e6 if usec.isdecimal() and int(usec) and meant else None
    return Notifier(address, watchdog_s)


def is_journal(environ: Mapping[str, str], stream: TextIO) -> bool:
    """Return whether the journal reads a stream: ``JOURNAL_STREAM`` is its device and inode.

    The variable alone proves nothing: desktop programs pass it on to their terminals.
    """
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):  # closed, or not a file
        return False
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"
