"""Notifications of new alerts while the terminal has no focus: a bell, or a desktop message.

The terminal only gets constant texts, so that no name, number or event of an installation leaves
the console this way.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal

from textual.driver import Driver

from hooktui.domain.wire.feed import FeedLine

Notify = Literal["off", "bell", "desktop"]

MIN_INTERVAL_MS: Final = 30_000

_BELL: Final = "\a"
_TEXTS: Final = {
    "hook.failing": "a hook is failing",
    "hook.disabled": "a hook was disabled",
    "delivery.gave_up": "deliveries were given up",
    "queue.behind": "deliveries are behind",
    "disk.low": "the disk is nearly full",
    "replay.paused": "a replay was paused",
    "replay.finished": "a replay finished",
}


class TerminalNotifier:
    """Sends notifications of new alerts through the terminal, only while it has no focus.

    ``in_tmux``: the terminal is tmux, which forwards a bell but no desktop message.
    """

    def __init__(
        self,
        how: Notify,
        write: Callable[[str], object],
        clock: Callable[[], int],
        *,
        in_tmux: bool,
    ) -> None:
        self._how, self._write, self._clock, self._in_tmux = how, write, clock, in_tmux
        self._away = False
        self._known: set[str] = set()
        self._notified_ms: int | None = None

    def focused(self, focused: bool) -> None:
        """Record that the terminal gained or lost the focus."""
        self._away = not focused

    def forget(self) -> None:
        """Forget all known alerts, because the account has changed."""
        self._known.clear()

    def receive(self, lines: Iterable[FeedLine], *, quiet: bool) -> None:
        """Process lines of the feed; ``quiet`` (after a start or reconnect) does not notify."""
        new = [line.fields for line in lines if line.kind == "alert" and self._is_new(line.fields)]
        texts = [_TEXTS[kind] for alert in new if (kind := str(alert.get("type"))) in _TEXTS]
        if texts and not quiet:
            self._notify(texts[0])

    def _is_new(self, alert: Mapping[str, object]) -> bool:
        """Return whether an alert has just been opened; a resolved one may be opened again."""
        alert_id, state = str(alert.get("id")), alert.get("state")
        if state == "resolved":
            ended_at_once = alert_id not in self._known and alert.get("type") == "replay.finished"
            self._known.discard(alert_id)
            return ended_at_once
        is_new = alert_id not in self._known and state == "open"
        self._known.add(alert_id)
        return is_new

    def _notify(self, text: str) -> None:
        now_ms, before_ms = self._clock(), self._notified_ms
        if self._how == "off" or not self._away:
            return
        if before_ms is not None and 0 <= now_ms - before_ms < MIN_INTERVAL_MS:
            return
        self._notified_ms = now_ms
        message = ""
        if self._how == "desktop" and not self._in_tmux:
            message = f"\x1b]9;hooktui: {text}{_BELL}"
        self._write(_BELL + message)


def writer(driver: Callable[[], Driver | None]) -> Callable[[str], None]:
    """Return a function that writes to the terminal of a driver, if stdout is a terminal."""

    def write(text: str) -> None:
        terminal = sys.__stdout__
        to = driver()
        if terminal is not None and terminal.isatty() and to is not None:
            to.write(text)
            to.flush()

    return write
