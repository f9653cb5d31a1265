"""Form that sends an event: choose a type, edit a sample body, see the result.

Positions of JSON errors are lines and columns, counted from 1 as in editors.
"""

from __future__ import annotations

import json
from collections.abc import Coroutine
from dataclasses import dataclass
from secrets import token_hex
from typing import Final, NoReturn

from textual import events
from textual.app import ComposeResult
from textual.widgets import Input, TextArea
from textual.worker import Worker

from hooktui.client import calls
from hooktui.console.events.event_screen import EventScreen
from hooktui.console.events.text import accepted_words
from hooktui.console.formatting import size
from hooktui.console.frame.dialogs import DialogOption, ask
from hooktui.console.frame.screen import ConsoleScreen
from hooktui.console.registry import relabel
from hooktui.console.shell.server_calls import Severity
from hooktui.console.shell.server_connection import ConnectionState
from hooktui.console.widgets.chrome import OneLine
from hooktui.console.widgets.page_window import OnePage
from hooktui.console.widgets.styled import StyledLine
from hooktui.console.widgets.table import Column
from hooktui.console.widgets.windowed_list import WindowedList
from hooktui.domain.catalogue import OPERATOR_GROUP
from hooktui.domain.errors import HooktuiError
from hooktui.domain.etl_samples import EMPTY, sample
from hooktui.domain.roles import Need
from hooktui.domain.wire.events import MAX_BODY_BYTES, AcceptedEvent, Catalogue


@dataclass(frozen=True, slots=True)
class TypeRow:
    """A row of the list of event types; ``group`` is empty if the row above has the same group."""

    id: str
    description: str
    group: str


def type_rows(catalogue: Catalogue, words: str) -> list[TypeRow]:
    """Return the types that can be sent and contain each word in id, name or description."""
    searched = words.casefold().split()
    rows: list[TypeRow] = []
    for group in catalogue.groups:
        if group.id == OPERATOR_GROUP:
            continue  # only the server sends these
        heading = group.name
        for kind in group.types:
            text = f"{kind.id} {kind.name} {kind.description}".casefold()
            if all(word in text for word in searched):
                rows.append(TypeRow(kind.id, kind.description, heading))
                heading = ""
    return rows


TYPE_COLUMNS: Final = (
    Column[TypeRow](name="group", cell=lambda r: r.group, tone="strong", width=10, grow=1,
                    max_width=24, priority=1),
    Column[TypeRow](name="id", title="type", cell=lambda r: r.id, width=20, grow=2, max_width=40,
                    priority=0),
    Column[TypeRow](name="what", title="description", cell=lambda r: r.description, tone="quiet",
                    width=20, grow=5, priority=2),
)  # fmt: skip


def wrong_json(text: str) -> str | None:
    """Return why a text is not a valid event body, with the position; None if it is valid."""
    if not text.strip():
        return "an event needs a body; the smallest is {}"
    try:
        encoded = text.encode()
    except UnicodeEncodeError as error:
        return f"{_position(text, error.start)}: half a character; type it again"
    if len(encoded) > MAX_BODY_BYTES:
        return f"{size(len(encoded))} is over the limit of {size(MAX_BODY_BYTES)}"
    try:
        json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        wrong = error.msg[:1].lower() + error.msg[1:]  # such as: expecting ',' delimiter
        return f"line {error.lineno}, column {error.colno}: {wrong}"
    except RecursionError:
        return "nested too deeply"
    except ValueError as error:
        return str(error)
    return None


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON; use null for a missing number")


def _position(text: str, at: int) -> str:
    before = text[:at]
    return f"line {before.count(chr(10)) + 1}, column {at - before.rfind(chr(10))}"


MOVES: Final = {"up": "up", "down": "down", "pageup": "page_up", "pagedown": "page_down"}
"""Keys that move the cursor of the list while the search input above it has the focus."""


class EmitScreen(ConsoleScreen):
    """Form that sends an event.

    Args:
        event_type: the initial type; empty: none.
        body: the initial body; None: a sample of the type.
    """

    HEADING = "Send an event"
    COMMAND_NAMES = ("save", "back")
    COMMAND_LABELS = (relabel("save", "send", "Send the event", Need.PRODUCE),)
    DEFAULT_CSS = """
    EmitScreen #words { margin: 0 1; }
    EmitScreen #types { height: 7; }
    EmitScreen.-high #types { height: 12; }
    EmitScreen #judged { padding: 0 1; background: $panel; }
    EmitScreen TextArea {
        height: 1fr; border: none; padding: 0 0 0 1; background: $background;
    }
    """

    def __init__(self, event_type: str = "", body: str | None = None) -> None:
        super().__init__()
        self.handlers.update(save=self.save)
        self._wanted = event_type
        self._given = body
        self._type = ""
        self._words: str | None = None  # search text of the loaded list of types
        self._filled = ""
        self._sending = False
        # If a response is lost, it is unknown whether the event was accepted. Sent again with the
        # same idempotency key, it is accepted only once.
        self._tried = ("", "")
        self._key = ""

    def compose_body(self) -> ComposeResult:
        """Compose the list of types and the body."""
        yield Input(placeholder="search event types; up and down choose", compact=True, id="words")
        self._types = WindowedList(
            TYPE_COLUMNS,
            OnePage(self._matching_types),
            lambda row: row.id,
            empty=((("  No event type matches.", "plain"),),),
            markable=False,
            id="types",
        )
        yield self._types
        yield OneLine(id="judged")
        body = TextArea(compact=True, id="body", soft_wrap=False)
        body.cursor_blink = False
        yield body

    def begin(self) -> None:
        """Set up the list of types; with an initial type, move the focus to the body."""
        super().begin()
        self.query_one(Input).cursor_blink = False
        self.run_worker(self._show_types(), name="types")

    async def _show_types(self) -> None:
        await self._types.load()
        if self._wanted and self._types.put_cursor_on(self._wanted):
            self.body.focus()
        elif self._wanted:  # no longer in the catalogue: do not choose another type instead
            self.query_one(Input).value = self._wanted
            self.body.text, self._given = self._given or "", None
            return
        await self._choose()

    @property
    def body(self) -> TextArea:
        """The text area of the body."""
        return self.query_one(TextArea)

    def _matching_types(self) -> list[TypeRow]:
        self._words = self.query_one(Input).value if self.query(Input) else ""
        return type_rows(self.shell.catalogue, self._words)

    def heading(self) -> StyledLine:
        """Return the heading with the chosen type."""
        chosen = f"  {self._type}" if self._type else ""
        return ((f" {self.HEADING}", "strong"), (chosen, "accent"))

    # -- the type

    def on_input_changed(self) -> None:
        """Filter the list of types."""
        self.run_latest(self._narrow, "types")

    async def _narrow(self) -> None:
        await self._types.load()
        await self._choose()

    def on_key(self, event: events.Key) -> None:
        """Move the cursor of the list also while the search input has the focus."""
        if event.key in MOVES and self.query_one(Input).has_focus:
            event.stop()
            self._types.action_move(MOVES[event.key])

    def on_input_submitted(self) -> None:
        """Move the focus to the body."""
        self.body.focus()

    on_windowed_list_opened = on_input_submitted

    def on_windowed_list_moved(self) -> None:
        """Choose the type under the cursor; keys do not wait for a sample from the server."""
        _: Worker[None] = self.run_worker(self._choose, name="sample", group="sample")

    async def _choose(self) -> None:
        """Choose the type under the cursor, and insert a sample unless the body was edited."""
        row = self._types.cursor_row
        chosen = "" if row is None else row.id
        if chosen == self._type or not self.query(TextArea):
            return
        self._type = chosen
        self.refresh_frame()
        if self.body.text != self._filled:
            return  # edited by the user
        given, self._given = self._given, None
        self._fill(given or "")  # never send the sample of another type as this one
        if given is not None or not chosen:
            return
        text = await self._sample(chosen)
        if chosen == self._type and self.query(TextArea) and self.body.text == self._filled:
            self._fill(text)

    def _fill(self, text: str) -> None:
        self.body.text = self._filled = text
        self._check_body()

    async def _sample(self, event_type: str) -> str:
        """Return an initial body: a sample, else the body of the latest event of that type."""
        made = sample(event_type, self.shell.clock())
        if made is not None:
            return made
        try:
            page = await self.send(
                calls.list_events(self.shell.account.number, event_type=event_type, limit=1)
            )
            if not page.data:
                return EMPTY
            latest = await self.send(calls.get_event(page.data[0].id))
        except HooktuiError:
            return EMPTY  # sending will show the error
        return latest.body or EMPTY

    # -- the body

    def _check_body(self) -> None:
        """Validate the body while it is typed."""
        text = self.body.text
        wrong = wrong_json(text)
        judged: StyledLine = ((wrong or "", "bad"),)
        if wrong is None:
            sends = f"  {self.shell.key('save')} sends it"
            judged = ((f"JSON, {size(len(text.encode()))}", "good"), (sends, "quiet"))
        self.query_one("#judged", OneLine).show(judged)

    on_text_area_changed = _check_body

    # -- commands

    def own_disabled_reason(self, name: str) -> str | None:
        """Return why the event cannot be sent: the connection, the type or the body."""
        if name != "save" or not self.query(TextArea):
            return None
        if self._sending:
            return "the event is being sent"
        if self.shell.connection.state is not ConnectionState.CONNECTED:
            return f"{self.shell.connection.word}; cannot send now; the body is kept"
        words, chosen = self.query_one(Input).value, self._types.cursor_row
        again = f"press {self.command(name).key} again"
        if words != self._words or self._types.stale_reason == "loading":
            return f"the event types are still loading; {again}"
        if chosen is None:
            return f"no event type matches {words!r}; choose one first"
        if chosen.id != self._type:  # under the cursor, but not in the heading yet
            return f"the event type has changed; check it, then {again}"
        return wrong_json(self.body.text)

    def save(self) -> Coroutine[None, None, None]:
        """Send the event, and show the result."""
        return self._save(self._type, self.body.text)

    async def _save(self, event_type: str, body: str) -> None:
        if (event_type, body) != self._tried:
            self._tried, self._key = (event_type, body), token_hex(16)
        call = calls.send_event(self.shell.account.number, event_type, body.encode(), key=self._key)
        self._sending = True
        try:
            sent = await self.call(call, f"sending {event_type}", _message)
        finally:
            self._sending = False
        if sent is not None:
            self._tried = ("", "")
            self.shell.navigation.select("Events", sent.id)
            await self._sent(sent)

    async def _sent(self, sent: AcceptedEvent) -> None:
        options = [
            DialogOption("o", "open it, with the outcome for each hook", "open"),
            DialogOption("a", "send another one", "again"),
            DialogOption("l", "leave", "leave"),
        ]
        title = f"{sent.id}  {accepted_words(sent)}"
        answer = await ask(self, title, f"{sent.type} accepted.", options)
        if answer == "open":
            self.leave(EventScreen(sent.id))
        elif answer == "leave":
            self.leave()

    @property
    def unsaved(self) -> bool:
        """Whether an edited body would be lost."""
        return bool(self.query(TextArea)) and self.body.text != self._filled

    def leave_question(self) -> tuple[str, str]:
        """Return what would be lost, or that the event may still be accepted."""
        if self._sending:
            details = "A notice will say whether it was accepted; if not, your text is lost."
            return "Leave while it is being sent?", details
        return "Leave without sending?", "The body that you typed would be lost."


def _message(sent: AcceptedEvent) -> tuple[str, Severity]:
    return f"{sent.type} accepted as {sent.id}: {accepted_words(sent)}", "good"
