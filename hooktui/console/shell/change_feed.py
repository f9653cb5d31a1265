"""Follower of the server's change feed, which fills the log and distributes merged changes.

The position is kept when the connection is lost, so that no line is missing or duplicated.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Final

from hooktui.console.formatting import date_of
from hooktui.console.shell.contract import Shell
from hooktui.console.shell.desktop_alerts import TerminalNotifier
from hooktui.console.shell.log_buffer import LogLine
from hooktui.console.shell.server_connection import RESPONDS_WITHIN_S, ConnectionState
from hooktui.domain.clock import from_rfc3339
from hooktui.domain.errors import HooktuiError, NotAllowed, Unauthenticated
from hooktui.domain.wire.feed import AttemptLine, FeedLine, FeedPage
from hooktui.domain.wire.pages import MAX_LIMIT

WAIT_S = 5
"""How long a read of the feed waits at the server for changes."""
FIRST_LINES = MAX_LIMIT
"""Number of lines that the log starts with."""

BACK_OFF_S = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Waits between attempts to reconnect to a lost server; the last one repeats."""

BUSY_S = 0.1
"""Wait between two reads of a busy feed: a few large pages cost less than many small ones."""


MAX_DELIVERIES: Final = 1_000
"""Deliveries that a screen keeps while another one covers it, perhaps for days."""
_ROTATED: Final = "secret changed"
"""How the feed says that the secrets of a hook changed."""


@dataclass(slots=True)
class FeedChanges:
    """Merged changes of the feed that a screen has not applied yet.

    Attributes:
        hooks: hooks that were created, changed or deleted.
        deleted_hooks: those that were deleted.
        rotated_hooks: those whose secrets changed.
        busy_hooks: hooks whose deliveries changed.
        deliveries: deliveries that changed or were created.
        sent_events: the events of these deliveries.
        events: whether events were received.
        replays: replays that changed.
        alerts: whether alerts changed.
        everything: whether anything may have changed, such as after a gap in the feed.
    """

    hooks: set[int] = field(default_factory=set)
    deleted_hooks: set[int] = field(default_factory=set)
    rotated_hooks: set[int] = field(default_factory=set)
    busy_hooks: set[int] = field(default_factory=set)
    deliveries: set[str] = field(default_factory=set)
    sent_events: set[str] = field(default_factory=set)
    events: bool = False
    replays: set[str] = field(default_factory=set)
    alerts: bool = False
    everything: bool = False

    def merge(self, other: FeedChanges) -> None:
        """Add later changes."""
        for name in (attribute.name for attribute in fields(self)):
            setattr(self, name, getattr(self, name) | getattr(other, name))
        if len(self.deliveries) > MAX_DELIVERIES:
            self.deliveries.clear()
            self.sent_events.clear()
            self.everything = True

    def __bool__(self) -> bool:
        return self != FeedChanges()


class ChangeFeedFollower:
    """Reads the feed as long as the app runs; ``on_changes`` gets the changes of each page."""

    def __init__(
        self, shell: Shell, on_changes: Callable[[FeedChanges], None], notifier: TerminalNotifier
    ) -> None:
        self._shell = shell
        self._notifier = notifier
        self._on_changes = on_changes
        self._position: str | None = None
        self._failures = 0
        self._day: str | None = None

    def start_over(self) -> None:
        """Reset the position, because the account has changed."""
        self._position, self._day = None, None  # not the failures: the next page ends them
        self._notifier.forget()

    async def follow(self) -> None:
        """Follow the feed until cancelled."""
        while True:
            try:
                page = await self._read()
            except HooktuiError as error:
                wait_s = self._lost(error)
            else:
                self._apply(page)
                wait_s = BUSY_S
            await asyncio.sleep(wait_s)

    async def _read(self) -> FeedPage:
        from hooktui.client import calls

        connection, account = self._shell.connection, self._shell.account.number
        # After a loss the first read does not wait, so that "connected" appears immediately.
        wait_s = 0 if self._failures or self._position is None else WAIT_S
        if self._position is None:
            call = calls.follow_feed(account, limit=FIRST_LINES, from_end=True)
        else:
            call = calls.follow_feed(account, after=self._position, wait_s=wait_s, limit=MAX_LIMIT)
        return await connection.send(replace(call, timeout_s=wait_s + RESPONDS_WITHIN_S))

    def _lost(self, error: HooktuiError) -> float:
        """Set the state of the connection; return the seconds until the next read."""
        refused = isinstance(error, NotAllowed | Unauthenticated)
        state = ConnectionState.REFUSED if refused else ConnectionState.LOST
        self._shell.connection.set_state(state, error)
        wait_s = BACK_OFF_S[min(self._failures, len(BACK_OFF_S) - 1)]
        self._failures += 1
        return wait_s

    def _apply(self, page: FeedPage) -> None:
        """Apply a page; the first one after an error also restores the connection."""
        connection, is_first = self._shell.connection, self._position is None
        caught_up = is_first or self._failures > 0
        self._notifier.receive(page.data, quiet=caught_up)
        if self._failures:
            self._failures = 0
            connection.set_state(ConnectionState.CONNECTED)
            self._shell.status.read_soon()
            self._on_changes(FeedChanges(everything=True))
        self._position = page.next
        was_behind = connection.read_to_ms is not None
        left = None if is_first else page.searched_to  # older changes precede the first page
        connection.read_to_ms = None if left is None else from_rfc3339(left)
        if was_behind and left is None:
            self._shell.status.read_soon()  # it redraws the frame
        self._show(page)

    def _show(self, page: FeedPage) -> None:
        """Add the lines of a page to the log, and pass its changes on."""
        shell = self._shell
        if page.reset:
            gap = "the log has a gap here: the server no longer stores these changes"
            shell.log_buffer.extend([LogLine(at_ms=shell.clock(), note=gap)])
            self._on_changes(FeedChanges(everything=True))
            return
        if page.before is not None:
            begin = "the log begins here; the command hooktui log searches older lines"
            shell.log_buffer.extend([LogLine(at_ms=shell.clock(), note=begin)])
        if not page.data:
            return
        shell.log_buffer.extend(self._with_days(log_lines(page.data)))
        changes = changes_of(page.data)
        self._on_changes(changes)
        if changes.alerts:  # the status line counts them: it must not differ from their list
            shell.status.read_now()
        else:
            shell.status.read_soon()

    def _with_days(self, lines: Iterable[LogLine]) -> Iterator[LogLine]:
        """Yield lines, and before the first one of each day its date: lines show the time alone."""
        if self._day is None:
            self._day = date_of(self._shell.clock())
        for line in lines:
            day = date_of(line.at_ms)
            if day != self._day:
                self._day = day
                yield LogLine(at_ms=line.at_ms, note=day)
            yield line


def log_lines(lines: Iterable[FeedLine]) -> list[LogLine]:
    """Return the log lines of a page of the feed: one for each attempt and alert."""
    shown = []
    for line in lines:
        if line.kind == "alert":
            shown.append(_alert_line(line))
        elif line.kind == "attempt":
            shown.append(_attempt_line(line))
    return shown


def _alert_line(line: FeedLine) -> LogLine:
    fields = line.fields
    return LogLine(
        at_ms=from_rfc3339(line.at),
        note=f"alert {fields.get('change', '?')}: {fields.get('summary', '')}",
        alert=" ".join(str(fields.get(name, "")) for name in ("id", "type", "key")),
        hook=_number(fields.get("hook")),
    )


def _attempt_line(line: FeedLine) -> LogLine:
    attempt = line.read(AttemptLine)
    result = attempt.error or ""
    if attempt.status_code is not None:
        result = str(attempt.status_code)
    return LogLine(
        at_ms=from_rfc3339(line.at),
        delivery=attempt.delivery,
        hook=attempt.hook,
        event=attempt.event,
        event_type=attempt.event_type,
        trigger=attempt.trigger,
        attempt=attempt.number,
        status=attempt.status,
        outcome=attempt.outcome,
        result=result,
        duration_ms=attempt.phases_ms.total,
        size=None if attempt.response is None else attempt.response.size,
        detail=attempt.error_detail or "",
        held=attempt.held,
        cause=attempt.cause,
        replay=attempt.replay,
    )


def changes_of(lines: Iterable[FeedLine]) -> FeedChanges:
    """Return the merged changes of a page of the feed."""
    changes = FeedChanges()
    for line in lines:
        fields = line.fields
        if line.kind == "hook":
            hook = _number(fields.get("id"))
            changes.hooks.add(hook)
            if fields.get("deleted"):
                changes.deleted_hooks.add(hook)
            if fields.get("change") == _ROTATED:
                changes.rotated_hooks.add(hook)
        elif line.kind == "event":
            changes.events = True
        elif line.kind == "replay":
            changes.replays.add(str(fields.get("id")))
        elif line.kind == "alert":
            changes.alerts = True
        elif line.kind == "engine":  # a pause or a resume affects all pending deliveries
            changes.everything = True
        elif line.kind in ("attempt", "delivery"):
            changes.busy_hooks.add(_number(fields.get("hook")))
            name = fields.get("delivery" if line.kind == "attempt" else "id")
            changes.deliveries.add(str(name))
            changes.sent_events.add(str(fields.get("event")))
    return changes


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
