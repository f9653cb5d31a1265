"""A look at the body of an event, over a form: nothing typed there is lost by it."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical

from hooktui.client import calls
from hooktui.console.base import HouseModal
from hooktui.console.delivery_words import moment
from hooktui.console.widgets.choices import Note
from hooktui.console.widgets.json_lines import Section
from hooktui.console.widgets.json_view import JsonView
from hooktui.domain.clock import from_rfc3339
from hooktui.domain.errors import HooktuiError


class EventLook(HouseModal[None]):
    """The event with an id; Esc goes back."""

    DEFAULT_CSS = """
    EventLook > .dialog { width: 96; max-width: 96%; height: 90%; padding: 0 1; }
    """

    def __init__(self, event_id: str) -> None:
        super().__init__()
        self._event_id = event_id

    def compose(self) -> ComposeResult:
        """Lay out title and body."""
        with Vertical(classes="dialog"):
            yield Note(id="title")
            yield JsonView(id="body")

    def on_mount(self) -> None:
        """Read the event."""
        back = self.house.key("back")
        title = f"Event {self._event_id}; {back} goes back to the form"
        self.query_one(Note).show(title, "strong")
        self.run_worker(self._read())

    async def _read(self) -> None:
        try:
            event = await self.house.ask(calls.get_event(self._event_id))
        except HooktuiError as error:
            sections = [Section("Not read", text=str(error))]
        else:
            came = moment(from_rfc3339(event.created_at), self.house.clock())
            body = "Its body is purged." if event.body is None else event.body
            sections = [Section(event.type, note=f"came {came}", text=body)]
        if self.query("#body"):
            view = self.query_one(JsonView)
            view.show(sections)
            view.focus()

    async def action_verb(self, name: str) -> None:
        """Go back on q, too: quitting here would lose what was typed in the form."""
        if name in ("back", "quit"):
            self.dismiss(None)
