"""Acknowledge and snooze commands, shared by alerts and groups of undelivered events."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, Generic, TypeVar

from hooktui.client.calls import Call
from hooktui.console.frame.dialogs import DialogOption, ask
from hooktui.console.frame.list_screen import ListScreen
from hooktui.console.frame.parts import Handler, ScreenPart
from hooktui.domain.alerts import MIN_SNOOZE_S
from hooktui.domain.clock import format_duration
from hooktui.domain.text import counted
from hooktui.domain.wire.undelivered import ChangedGroup

T = TypeVar("T")

_HOUR_S: Final = 3600
_DAY_S: Final = 24 * _HOUR_S
_MORNING: Final = 8
"""The hour of the day at which "tomorrow" starts."""


def seconds_to_morning(now_ms: int) -> int:
    """Return the seconds from now until 08:00 tomorrow, in the user's time zone."""
    now = time.localtime(now_ms / 1000)
    morning = time.mktime((now.tm_year, now.tm_mon, now.tm_mday + 1, _MORNING, 0, 0, 0, 0, -1))
    return round(morning - now_ms / 1000)


class AlertActions(ScreenPart, Generic[T]):
    """Commands that acknowledge or snooze the alert or group under the cursor.

    ``name`` returns its name for messages; ``acknowledge`` and ``snooze`` return the calls, the
    latter for a number of seconds.
    """

    def __init__(
        self,
        screen: ListScreen[T],
        name: Callable[[T], str],
        *,
        acknowledge: Callable[[T], Call[Any]],
        snooze: Callable[[T, int], Call[Any]],
    ) -> None:
        self._screen, self._name = screen, name
        self._acknowledge_call, self._snooze_call = acknowledge, snooze

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """The handlers of acknowledge and snooze."""
        on_row = self._screen.on_row
        return {"acknowledge": on_row(self._acknowledge), "snooze": on_row(self._snooze)}

    def _acknowledge(self, row: T) -> Coroutine[None, None, None]:
        """Acknowledge the row: alert hooks are not notified of it again until it ends."""
        words = "acknowledged; alert hooks are notified when it ends"
        return self._change(row, self._acknowledge_call(row), "acknowledging", words)

    async def _snooze(self, row: T) -> None:
        name, asked_ms = self._name(row), self._screen.shell.clock()
        morning_s = seconds_to_morning(asked_ms)
        choices = {
            "1": (_HOUR_S, "1 hour"),
            "4": (4 * _HOUR_S, "4 hours"),
            "t": (morning_s, "until tomorrow, 08:00"),
            "7": (7 * _DAY_S, "7 days"),
        }
        options = [DialogOption(key, words, key) for key, (_, words) in choices.items()]
        answer = await ask(
            self._screen,
            f"Snooze {name}?",
            "Alert hooks are notified again if it lasts longer.",
            [DialogOption("n", "Cancel", ""), *options],
        )
        if not answer:
            self._screen.notice("no alert was snoozed")
            return
        for_s = choices[answer][0]
        if answer == "t":  # the question may have been open for hours
            for_s = max(for_s - (self._screen.shell.clock() - asked_ms) // 1000, MIN_SNOOZE_S)
        words = f"snoozed for {format_duration(for_s)}"
        await self._change(row, self._snooze_call(row, for_s), "snoozing", words)

    async def _change(self, row: T, call: Call[Any], doing: str, words: str) -> None:
        name = self._name(row)
        done = await self._screen.call(call, f"{doing} {name}")
        if done is not None:
            alerts = done.alerts if isinstance(done, ChangedGroup) else 0  # absent in old servers
            count = f" ({counted(alerts, 'alert')})" if alerts else ""
            self._screen.notice(f"{name}{count} is {words}", "good")
            self._screen.read_soon()
