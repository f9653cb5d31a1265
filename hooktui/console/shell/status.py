"""The status of the server, and the trends of its backlog and its free disk space."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final

from textual.app import App
from textual.timer import Timer
from textual.worker import Worker

from hooktui.console.shell.account import AccountView
from hooktui.console.shell.server_connection import ServerConnection
from hooktui.domain.errors import HooktuiError
from hooktui.domain.wire.server import ServerStatus

STATUS_S: Final = 5.0
"""Interval between loads while deliveries are waiting or in progress; otherwise on demand."""

REMEMBERED_MS: Final = 5 * 60_000
MIN_SAMPLES: Final = 3
MIN_SPAN_MS: Final = 10_000
"""Minimum time span of the samples; a line through a shorter one is meaningless."""


class Trend:
    """The latest samples of a number and their linear trend."""

    def __init__(self) -> None:
        self._samples: deque[tuple[int, float]] = deque()

    def add(self, at_ms: int, value: float) -> None:
        """Add a sample; drop old ones, and all earlier ones if the clock was set back."""
        if self._samples and at_ms < self._samples[-1][0]:
            self._samples.clear()
        self._samples.append((at_ms, value))
        while at_ms - self._samples[0][0] > REMEMBERED_MS:
            self._samples.popleft()

    def clear(self) -> None:
        """Remove all samples."""
        self._samples.clear()

    @property
    def span_ms(self) -> int:
        """The time span of the samples."""
        return self._samples[-1][0] - self._samples[0][0] if self._samples else 0

    @property
    def per_s(self) -> float | None:
        """The growth of the number per second; None with too few samples."""
        if len(self._samples) < MIN_SAMPLES or self.span_ms < MIN_SPAN_MS:
            return None
        from statistics import linear_regression

        begun_ms = self._samples[0][0]
        times = [(at_ms - begun_ms) / 1000 for at_ms, _ in self._samples]
        return linear_regression(times, [value for _, value in self._samples]).slope

    def falls_to_s(self, value: float) -> float | None:
        """Return the seconds until the number falls to a value; None if it is not falling."""
        per_s = self.per_s
        if per_s is None or per_s >= 0 or not self._samples:
            return None
        return max(self._samples[-1][1] - value, 0) / -per_s


class StatusMonitor:
    """Loads the server status on demand, and periodically while deliveries wait or are sent.

    ``on_read`` is called after each load.

    Attributes:
        latest: the latest status; None until the server has responded.
        read_at_ms: the time at which it was loaded.
        backlog_trend: the trend of the number of waiting deliveries.
        disk_trend: the trend of the free space in bytes.
    """

    def __init__(
        self,
        app: App[Any],
        connection: ServerConnection,
        account: AccountView,
        clock: Callable[[], int],
        on_read: Callable[[], None],
    ) -> None:
        self._app, self._connection, self._account = app, connection, account
        self._clock, self._on_read = clock, on_read
        self._reading = False
        self._due: Timer | None = None
        self.latest: ServerStatus | None = None
        self.read_at_ms = 0
        self.backlog_trend, self.disk_trend = Trend(), Trend()

    async def known(self) -> ServerStatus:
        """Return the latest status; load it if there is none yet.

        Raises:
            HooktuiError: the server refused the call, or cannot be reached.
        """
        return await self.read() if self.latest is None else self.latest

    async def read(self) -> ServerStatus:
        """Load the status and return it.

        Raises:
            HooktuiError: the server refused the call, or cannot be reached.
        """
        from hooktui.client import calls

        number = self._account.number
        status = await self._connection.send(calls.server_status(number))
        if number == self._account.number:  # otherwise the status of the new account is newer
            self.record(status)
            self._on_read()
        return status

    def record(self, status: ServerStatus) -> None:
        """Store a status as the latest one."""
        self.latest, self.read_at_ms = status, self._clock()
        self.backlog_trend.add(self.read_at_ms, status.backlog.count)
        if status.disk is not None:
            self.disk_trend.add(self.read_at_ms, status.disk.free)

    def read_soon(self) -> None:
        """Schedule a load of the status; any number of calls until then cause only one."""
        self._read_in(STATUS_S / 5)

    def read_now(self) -> None:
        """Start a load of the status in place of the scheduled one."""
        if self._due is not None:
            self._due.stop()
        self._start()

    def _read_in(self, seconds: float) -> None:
        if self._due is None:
            self._due = self._app.set_timer(seconds, self._start)

    def _start(self) -> None:
        """Load the status in a worker, because keys would wait for an awaiting timer callback."""
        self._due = None
        if self._reading:  # a slow server: load again after the pending response
            self.read_soon()
            return
        _: Worker[None] = self._app.run_worker(self._run, name="status", group="status")

    async def _run(self) -> None:
        self._reading = True
        try:
            status = await self.read()
        except HooktuiError:
            return  # the feed detects and reports a lost connection
        finally:
            self._reading = False
        if not _is_calm(status):
            self._read_in(STATUS_S)


def _is_calm(status: ServerStatus) -> bool:
    busy: list[float] = [status.backlog.count]
    if status.rates is not None:
        rates = status.rates
        busy += [rates.in_flight, rates.accepted_per_s, rates.delivered_per_s, rates.failed_per_s]
    return not any(busy)
