"""Screen of one event: the decision for each hook with its reason, and the body."""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from textual.app import ComposeResult

from hooktui.client import calls
from hooktui.console.events.text import decision_columns, decision_reason, outcomes
from hooktui.console.formatting import indented_json, moment, size
from hooktui.console.frame.dialogs import CopyForm, copy_as
from hooktui.console.frame.parts import acts_on
from hooktui.console.frame.screen import ConsoleScreen
from hooktui.console.frame.searching import SearchPart
from hooktui.console.shell.change_feed import FeedChanges
from hooktui.console.widgets.chrome import Lines
from hooktui.console.widgets.controls import Note
from hooktui.console.widgets.document_lines import FORM_WORDS, Section
from hooktui.console.widgets.document_view import DocumentView
from hooktui.console.widgets.page_window import PageQuery
from hooktui.console.widgets.styled import StyledLine
from hooktui.console.widgets.windowed_list import WindowedList
from hooktui.domain.catalogue import PING
from hooktui.domain.deliveries import DeliveryStatus
from hooktui.domain.errors import HooktuiError, NotFound
from hooktui.domain.roles import allows
from hooktui.domain.wire.events import EventDetail, HookDecision
from hooktui.domain.wire.pages import Page
from hooktui.domain.wire.replays import ReplaySelection

MAX_HOOKS: Final = 8
"""Maximum rows of the list of hooks before it scrolls: the body needs the space more."""

_UNFINISHED: Final = (DeliveryStatus.PENDING, DeliveryStatus.SENDING)

PURGED: Final = "The body is purged: bodies are kept for a shorter time than events."


class EventScreen(ConsoleScreen):
    """Screen of the event with an id.

    Attributes:
        listing: the list of decisions, one for each hook.
    """

    HEADING = "Event"
    COMMAND_NAMES = (
        "open", "search", "emit", "copy", "copy_as", "wrap", "raw", "match_before", "replay",
    )  # fmt: skip
    DEFAULT_CSS = """
    EventScreen #decisions { height: 3; max-height: 38%; }
    EventScreen #why { padding: 0 1; height: 2; display: block; }
    EventScreen #document { padding: 0 1; border-top: solid $panel; }
    """

    def __init__(self, event_id: str) -> None:
        super().__init__()
        self.handlers.update(
            open=self.open,
            emit=acts_on(lambda: self.event, self._emit),
            raw=self.raw,
            copy=self.copy,
            copy_as=acts_on(lambda: self.event, self._copy_as),
            replay=acts_on(lambda: self.event, self._replay),
        )
        self.search = SearchPart(self, lambda: self.document)
        self.parts = (self.search,)
        self.event_id = event_id
        self.event: EventDetail | None = None

    # -- content

    def heading(self) -> StyledLine:
        """Return the heading: the event and its type."""
        event_type = "" if self.event is None else f"  {self.event.type}"
        return ((f" Event {self.event_id}", "strong"), (event_type, "plain"))

    def compose_body(self) -> ComposeResult:
        """Compose the summary, the list of hooks and the body."""
        shell = self.shell
        none = "  This account has no hooks"
        if allows(shell.role, self.command("new").need):
            none += f"; {shell.key('go_hooks')}, then {shell.key('new')} creates one"
        yield Lines(id="head")
        self.listing: WindowedList[HookDecision] = WindowedList(
            decision_columns(shell.glyphs, shell.clock, self.usable_key),
            DecisionPages(self.send, self.event_id),
            lambda row: row.hook,
            empty=(((f"{none}.", "plain"),),),
            markable=False,
            id="decisions",
        )
        yield self.listing
        yield Note(id="why")
        yield DocumentView(id="document")

    def begin(self) -> None:
        """Set up the screen, and load the event and its decisions."""
        super().begin()
        self.run_latest(self._read, "event")

    @property
    def document(self) -> DocumentView:
        """The widget that shows the body."""
        return self.query_one(DocumentView)

    async def _read(self) -> None:
        try:
            self.event = await self.send(calls.get_event(self.event_id))
        except NotFound as error:
            self.leave_missing(error)
            return
        except HooktuiError as error:
            self.show_load_error(error)
            return
        await self.listing.reload()
        if not self.query("#head"):
            return  # the screen was closed meanwhile
        self.listing.styles.height = min(max(self.listing.window.total, 2), MAX_HOOKS) + 1
        event = self.event
        self._draw_head(event)
        body = (
            Section("Body", text=PURGED, kind="words")
            if event.body is None
            else Section("Body", f"{size(event.size)}, as it was sent", text=event.body)
        )
        self.document.show([body])
        self.refresh_frame()

    def _draw_head(self, event: EventDetail) -> None:
        dot = f" {self.shell.glyphs.dot} "
        received = moment(event.created_at, self.shell.clock())
        self.query_one("#head", Lines).show(
            (((f" received {received}{dot}{size(event.size)}{dot}{outcomes(event)}", "plain"),),)
        )

    def refresh_times(self) -> None:
        """Redraw the summary, and the reason for the hook under the cursor."""
        if self.event is not None:
            self._draw_head(self.event)
        self.on_windowed_list_moved()

    async def changed(self, changes: FeedChanges) -> None:
        """Reload when this event's deliveries have changed, or a hook, which a row may be about."""
        if changes.everything or changes.hooks or self.event_id in changes.sent_events:
            await self._read()

    def on_screen_resume(self) -> None:
        """Reload the event: a resend may have created deliveries meanwhile."""
        if self.event is not None:
            self.run_latest(self._read, "event")

    def on_windowed_list_moved(self) -> None:
        """Show the full reason of the decision for the hook under the cursor."""
        row = self.listing.cursor_row
        if row is not None and self.query("#why"):
            reason = decision_reason(row, self.shell.clock(), self.usable_key)
            why = "".join(text for text, _ in reason)
            self.query_one("#why", Note).show(f"Hook {row.hook}: {why}")

    # -- commands

    def own_disabled_reason(self, name: str) -> str | None:
        """Return that the event is not loaded, is a ping, or that there is nothing to open."""
        if name not in self.COMMAND_NAMES:
            return None
        if self.event is None:
            return f"the event is not loaded yet; {self.shell.key('reload')} loads it again"
        if name == "replay" and self.event.type == PING:
            return "pings cannot be replayed"
        if name == "emit" and self.event.type == PING:
            return f"a ping goes to one hook; {self.shell.key('ping')} on a hook sends one"
        acts_on_hook = name == "replay" or (name == "open" and not self.document.has_focus)
        if not acts_on_hook:
            return None
        row = self.listing.cursor_row
        if row is None:
            return "there is no hook here"
        gone = row.deleted and (name == "replay" or row.delivery is None)
        return "this hook is deleted" if gone else None

    def open(self) -> None:
        """Open the delivery of the row, else its hook; in the body, fold or unfold a part."""
        row = self.listing.cursor_row
        if self.document.has_focus:
            self.document.action_open()
        elif row is not None and row.delivery is not None:
            self.shell.navigation.open_delivery(row.delivery.id)
        elif row is not None:
            self.shell.navigation.open_hook(row.hook)

    def back(self) -> None:
        """End the search, then close the screen."""
        if not self.search.end():
            super().back()

    def _emit(self, event: EventDetail) -> None:
        """Open the form of a new event with the type and body of this one."""
        self.shell.navigation.open_emit(event.type, event.body)

    def _replay(self, event: EventDetail) -> None:
        """Plan a replay of this event to the hook under the cursor."""
        row = self.listing.cursor_row
        if row is None:
            return
        at, delivery = event.created_at, row.delivery
        if delivery is None:
            mode = "never-sent"
        elif delivery.cause is not None or delivery.status in _UNFINISHED:
            mode = "failed"
        else:  # delivered, cancelled or given up
            mode = "sent"
        selection = ReplaySelection(
            hooks=(row.hook,), mode=mode, since=at, until=at, filter=self.event_id
        )
        self.shell.navigation.open_replay_form(selection)

    def raw(self) -> None:
        """Show the body in the next form: as a tree, as sent, or in hex."""
        self.notice(f"the body is shown {FORM_WORDS[self.document.next_form()]}")

    async def copy(self) -> None:
        """Copy the item under the cursor; in the list of hooks, the event's id."""
        copied = self.document.under_cursor() if self.document.has_focus else None
        what, text = copied or ("the event's id", self.event_id)
        await self.copy_text(text, what)

    async def _copy_as(self, event: EventDetail) -> None:
        """Copy the body, the event as JSON, or a command that sends the event again."""
        forms = []
        if event.body is not None:
            forms.append(CopyForm("b", "the body, as it was sent", "the body", event.body))
        if event.body is not None and event.type != PING:
            command = as_emit(event.type, event.body, event.account)
            words = "a command that sends the event again"
            forms.append(CopyForm("e", words, "the command", command))
        words, name = "the event as JSON, as the API returns it", "the event as JSON"
        forms.append(CopyForm("j", words, name, indented_json(event)))
        await copy_as(self, "The body is copied as it was sent, without any secret.", forms)


def as_emit(event_type: str, body: str, account: int) -> str:
    """Return a command that sends an event to an account, whichever one is the default."""
    return f"printf %s {shlex.quote(body)} | hooktui emit --account {account} {event_type} -"


Decisions = Page[HookDecision]

_ASKED, _OTHERS, _FROM_END = "a", "o", "<"


class DecisionPages:
    """A `PageSource` of the decisions about one event.

    They are two lists of the server, one after the other: first the hooks that subscribed, then the
    others. The first character of a cursor identifies the list.
    """

    def __init__(
        self, ask: Callable[[calls.Call[Decisions]], Awaitable[Decisions]], event: str
    ) -> None:
        self._ask: Final = ask
        self._event: Final = event
        self._totals: dict[str, int] = {}

    async def page(self, query: PageQuery) -> Decisions:
        """Return a page; the order is fixed.

        Raises:
            HooktuiError: the server refused the call or cannot be reached.
        """
        cursor, from_end = query["cursor"], query["from_end"]
        if cursor is not None:
            from_end = cursor[1:] == _FROM_END
            return await self._part(cursor[0], None if from_end else cursor[1:] or None, from_end)
        for part in (_ASKED, _OTHERS):
            await self._read(part, 1)  # for the totals
        first = _ASKED if self._totals[_ASKED] else _OTHERS
        last = _OTHERS if self._totals[_OTHERS] else _ASKED
        return await self._part(last if from_end else first, None, from_end)

    async def _read(
        self, part: str, limit: int, cursor: str | None = None, *, from_end: bool = False
    ) -> Decisions:
        call = calls.event_decisions(
            self._event,
            concerned=part == _ASKED,
            cursor=cursor,
            from_end=from_end,
            limit=limit,
            sort="id",
        )
        page = await self._ask(call)
        self._totals[part] = page.total
        return page

    async def _part(self, part: str, cursor: str | None, from_end: bool) -> Decisions:
        page = await self._read(part, 100, cursor, from_end=from_end)
        following = None if page.next is None else part + page.next
        before = None if page.prev is None else part + page.prev
        if following is None and part == _ASKED and self._totals[_OTHERS]:
            following = _OTHERS
        if before is None and part == _OTHERS and self._totals[_ASKED]:
            before = _ASKED + _FROM_END
        return replace(page, next=following, prev=before, total=sum(self._totals.values()))
