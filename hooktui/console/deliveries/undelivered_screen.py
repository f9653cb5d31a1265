"""Screen of the undelivered events of the account, grouped by hook and cause."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Final

from hooktui.client import calls
from hooktui.console.deliveries.alert_actions import AlertActions
from hooktui.console.deliveries.undelivered_text import group_columns, group_name, totals_words
from hooktui.console.formatting import moment, short_name
from hooktui.console.frame.dialogs import confirmed
from hooktui.console.frame.frame_text import introduction
from hooktui.console.frame.list_screen import ListScreen
from hooktui.console.frame.screen import ConsoleScreen, front_screen
from hooktui.console.registry import Command, relabel
from hooktui.console.widgets.page_window import PageQuery
from hooktui.console.widgets.styled import StyledLine, StyledText
from hooktui.console.widgets.table import Column
from hooktui.domain.catalogue import group_of
from hooktui.domain.clock import from_rfc3339, to_rfc3339
from hooktui.domain.failure_causes import HELD, SKIPPED
from hooktui.domain.filters.parser import MAX_LENGTH
from hooktui.domain.roles import Need
from hooktui.domain.text import counted
from hooktui.domain.wire.pages import Page
from hooktui.domain.wire.replays import ReplaySelection
from hooktui.domain.wire.undelivered import NOT_GIVEN_UP, UndeliveredGroup, UndeliveredPage

_OPEN_SKIPPED: Final = relabel("open", "events", "List the events of the skipped group")


class UndeliveredScreen(ListScreen[UndeliveredGroup]):
    """List of all groups of undelivered events."""

    HEADING = "Undelivered"
    TOP_SCREEN = "Deliveries"
    NOUN = "group"
    ROW_COMMANDS = ("open", "replay", "acknowledge", "snooze", "delete", "diagnose")
    SORT = "newest_at"
    DESCENDING = True
    FOLLOWS = ("deliveries", "alerts", "hooks")
    BUSY_S = 2.0  # while deliveries are in progress
    COMMAND_NAMES = (
        "open", "replay", "acknowledge", "snooze", "delete", "diagnose", "sort", "order",
        "previous", "next",
    )  # fmt: skip
    COMMAND_LABELS = (
        relabel("open", "deliveries", "List the deliveries of the group"),
        relabel("delete", "give up", "Give the group up; asks first", Need.OPERATE),
        relabel("acknowledge", "acknowledge", "Acknowledge the alerts of the group"),
        relabel("snooze", "snooze", "Snooze the alerts of the group"),
        relabel("replay", "replay", "Plan a replay of the group"),
    )

    def __init__(self) -> None:
        super().__init__()
        self.handlers.update(
            open=self.on_row(lambda group: open_group(self, group.hook, group.cause)),
            replay=self.on_row(self._replay),
            delete=self.on_row(self._give_up),
            diagnose=self.on_row(self._diagnose),
        )
        self.parts = (
            *self.parts,
            AlertActions(
                self,
                group_name,
                acknowledge=lambda g: calls.acknowledge_undelivered(g.hook, g.cause),
                snooze=lambda g, for_s: calls.snooze_undelivered(g.hook, g.cause, for_s),
            ),
        )
        self._summary = ""
        self._counting_until: str | None = None

    def columns(self) -> Sequence[Column[UndeliveredGroup]]:
        """Return the columns."""
        return group_columns(self.shell.clock)

    def row_id(self, row: UndeliveredGroup) -> tuple[int, str]:
        """Return the hook and the cause of a group."""
        return row.hook, row.cause

    def call_of(self, query: PageQuery) -> calls.Call[Page[UndeliveredGroup]]:
        """Return the call that lists the groups."""
        return calls.list_undelivered(self.shell.account.number, **query)

    async def page(self, query: PageQuery) -> Page[UndeliveredGroup]:
        """Return a page, and store its totals for the heading."""
        page = await super().page(query)
        if isinstance(page, UndeliveredPage):
            self._summary = totals_words(page.totals)
            self._counting_until = page.counting_until
        return page

    def empty_lines(self) -> tuple[StyledLine, ...]:
        """Return the text of the empty list."""
        return introduction(
            "No undelivered events.",
            "Deliveries that failed or are retried appear here by hook and cause, and",
            "events that a disabled hook held or skipped.",
        )

    def more_heading(self) -> StyledLine:
        """Return the totals, and up to when older deliveries are counted, unless all are."""
        dot = f" {self.shell.glyphs.dot} "
        pieces: list[StyledText] = [(f"{dot}{self._summary}", "plain")] if self._summary else []
        if self._counting_until is not None:
            at = moment(self._counting_until, self.shell.clock())
            pieces.append((f"{dot}counted up to {at}", "warn"))
        return pieces

    # -- commands

    def command_labels(self) -> tuple[Command, ...]:
        """Return the commands with the texts for the group under the cursor."""
        group = self.cursor_row
        opens = (_OPEN_SKIPPED,) if group is not None and group.cause == SKIPPED else ()
        return (*opens, *super().command_labels())

    def own_disabled_reason(self, name: str) -> str | None:
        """Return why a command is not possible for the group under the cursor, or None."""
        group = self.cursor_row
        return no_replay_reason(group.cause) if name == "replay" and group is not None else None

    def _replay(self, group: UndeliveredGroup) -> None:
        self.shell.navigation.open_replay_form(replay_of_group(group))

    async def _diagnose(self, group: UndeliveredGroup) -> None:
        hook = await self.call(calls.get_hook(group.hook))
        if hook is not None and front_screen(self.app) is self:
            self.shell.navigation.open_diagnosis(hook)

    async def _give_up(self, group: UndeliveredGroup) -> None:
        """Give a group up, after a question that defaults to Cancel."""
        name, what = group_name(group), counted(group.count, "event")
        retries = counted(group.retrying, "waiting retry")
        cancels = f" Cancels {retries}." if group.retrying else ""
        lost = f"Unless resent or replayed, {what} will not be sent to the receiver.{cancels}"
        declined = "nothing was given up"
        if not await confirmed(self, f"Give up {name}", lost, declined, yes="Give up"):
            return
        until = group.newest_at  # those that came since are not in the question
        given_up = cancelled = 0
        after: str | None = None
        while True:
            call = calls.give_up_undelivered(group.hook, group.cause, until, after)
            done = await self.call(call, f"giving up {name}, {given_up + cancelled:,} so far")
            if done is None:
                break
            given_up, cancelled = given_up + done.given_up, cancelled + done.cancelled
            after = done.next
            if after is None:
                if not given_up and not cancelled:
                    self.notice(f"{name}: {NOT_GIVEN_UP}", "warn")
                    break
                words = f"{counted(given_up, 'event')} given up"
                if cancelled:
                    words += f", {counted(cancelled, 'delivery')} cancelled"
                self.notice(f"{name}: {words}", "good")
                self.listing.choice.remove([self.row_id(group)])
                break
        self.read_soon()


def replay_of_group(group: UndeliveredGroup) -> ReplaySelection:
    """Return the replay of a group; for skips, of the events that were never sent to the hook."""
    if group.cause != SKIPPED:
        return ReplaySelection(hooks=(group.hook,), cause=group.cause)
    return ReplaySelection(
        hooks=(group.hook,), mode="never-sent", since=group.oldest_at, until=group.newest_at
    )


def no_replay_reason(cause: str | None) -> str | None:
    """Return why a group with this cause cannot be replayed, or None."""
    if cause == HELD:
        return "these are held; they are sent when the hook is enabled"
    return None


def open_group(screen: ConsoleScreen, hook: int, cause: str) -> Coroutine[None, None, None] | None:
    """List the deliveries of a group, or the events of a group of skips."""
    if cause == SKIPPED:
        return _open_skipped(screen, hook)
    # A held retry keeps its cause, and is in the group of that.
    q = "status:held -cause:*" if cause == HELD else f"cause:{cause}"
    screen.shell.navigation.open_deliveries(f"hook:{hook} {q}")
    return None


async def _open_skipped(screen: ConsoleScreen, number: int) -> None:
    """List the events of the hook's types, because no filter selects skips."""
    shell = screen.shell
    groups = calls.list_undelivered(shell.account.number, hooks=(number,), cause=SKIPPED)
    page, hook = await screen.call(groups), await screen.call(calls.get_hook(number))
    if page is None or hook is None or front_screen(screen.app) is not screen:
        return
    if not page.data:
        shell.navigation.open_hook(number)  # no skips any more; an alert may still report them
        return
    types = ",".join(hook.events)
    if len(types) > MAX_LENGTH // 2:
        types = ",".join(dict.fromkeys(map(group_of, hook.events)))
    after = to_rfc3339(from_rfc3339(page.data[0].newest_at) + 1)  # "until" is exclusive
    note = f"types of hook {hook.id} ({short_name(hook.name)}), first to last skip"
    q = f"event:{types} since:{page.data[0].oldest_at} until:{after}"
    shell.navigation.open_events(q, note)
