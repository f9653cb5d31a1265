"""The fields of a hook's form: laid out, filled, read, and each with a note below or beside it."""

from __future__ import annotations

from typing import Final, cast

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Input, Static, TextArea

from hooktui.console.hooks.event_boxes import EventBoxes
from hooktui.console.hooks.form_values import FormValues
from hooktui.console.registry import KeyOf
from hooktui.console.widgets.controls import Choice, FoldTitle, Note, TickBox
from hooktui.console.widgets.styled import Tone
from hooktui.domain.addresses import parse_url
from hooktui.domain.errors import Refused
from hooktui.domain.signatures import HASHES
from hooktui.domain.wire.events import Catalogue

LABELS: Final = {
    "url": "URL",
    "name": "Name",
    "headers": "Headers",
    "user": "User",
    "password": "Password",
    "signature_hash": "Signature",
    "timeout": "Deadline",
    "schedule": "Retries",
    "rate": "Rate",
    "in_flight": "At once",
    "filter": "Filter",
}
_FOLDED: Final = (
    "headers", "user", "password", "signature_hash", "verify_tls", "timeout", "schedule", "rate",
    "in_flight", "ordered", "filter",
)  # fmt: skip
_HINTS: Final = {
    "headers": "one a line, Name: value; begin with the word secret to keep a value hidden",
    "user": "basic authentication towards the receiver; empty for none",
    "signature_hash": "of X-Hook-Signature",
    "timeout": "for a whole attempt, 1s to 30s",
    "rate": "deliveries a second; empty for no limit",
    "in_flight": "deliveries under way to this hook, 1 to 1000",
    "filter": "only events that match, such as event:job.* data.cluster_id:52",
}
_INPUTS: Final = ("url", "name", "user", "password", "timeout", "schedule", "rate", "in_flight",
                  "filter")  # fmt: skip


class FormFields(VerticalScroll):
    """Every setting of a hook; what seldom changes is folded away.

    Args:
        catalogue: the events to choose from.
        keeps_password: whether an empty password means the stored one.
    """

    can_focus = False
    DEFAULT_CSS = """
    FormFields { padding: 0 1; height: 1fr; scrollbar-size-vertical: 1; }
    FormFields .row { height: auto; }
    FormFields .label { width: 11; color: $text-muted; }
    FormFields .row > Input { width: 1fr; max-width: 90; }
    FormFields .short > Input { max-width: 14; margin-right: 2; }
    FormFields TextArea { height: 4; width: 1fr; max-width: 90; border: none; padding: 0 1;
        background: $panel; }
    FormFields .row > Note, FormFields .row > Control { margin-left: 1; }
    FormFields > Note, FormFields #more > Note { padding-left: 12; }
    FormFields .short > Note { width: 1fr; }
    FormFields #more { height: auto; display: none; }
    FormFields.-more #more { display: block; }
    """

    def __init__(self, catalogue: Catalogue, key: KeyOf, *, keeps_password: bool) -> None:
        super().__init__(id="fields")
        self._key = key
        self._catalogue = catalogue
        self._keeps_password = keeps_password

    # -- laid out

    def compose(self) -> ComposeResult:
        """Lay out all fields; the values are filled in later."""
        yield from self._text("url", placeholder="https://example.com/hook")
        yield from self._text("name", placeholder="the host of the URL")
        with Horizontal(classes="row"):
            yield Static("Active", classes="label", markup=False)
            yield TickBox("events are sent to it", ticked=True, id="active")
        with Horizontal(classes="row"):
            yield Static("Events", classes="label", markup=False)
            yield Note(id="note-events")
        yield EventBoxes(self._catalogue, id="events")
        yield FoldTitle("More settings", id="more-title")
        with Vertical(id="more"):
            yield from self._more()

    def _text(self, name: str, *, placeholder: str = "", password: bool = False) -> ComposeResult:
        with Horizontal(classes="row"):
            yield Static(LABELS[name], classes="label", markup=False)
            yield Input(placeholder=placeholder, password=password, id=name, compact=True)
        yield Note(id=f"note-{name}")

    def _short(self, name: str) -> ComposeResult:
        with Horizontal(classes="row short"):
            yield Static(LABELS[name], classes="label", markup=False)
            yield Input(id=name, compact=True)
            yield Note(id=f"note-{name}")

    def _more(self) -> ComposeResult:
        with Horizontal(classes="row"):
            yield Static(LABELS["headers"], classes="label", markup=False)
            yield TextArea(id="headers", compact=True, tab_behavior="focus", soft_wrap=False)
        yield Note(id="note-headers")
        yield from self._text("user")
        yield from self._text(
            "password", placeholder="unchanged" if self._keeps_password else "", password=True
        )
        with Horizontal(classes="row"):
            yield Static(LABELS["signature_hash"], classes="label", markup=False)
            yield Choice(HASHES, id="signature_hash")
        yield Note(id="note-signature_hash")
        with Horizontal(classes="row"):
            yield Static("TLS", classes="label", markup=False)
            yield TickBox("verify the receiver's certificate", ticked=True, id="verify_tls")
        yield Note(id="note-verify_tls")
        yield from self._short("timeout")
        yield from self._text("schedule", placeholder="no retries")
        yield from self._short("rate")
        yield from self._short("in_flight")
        with Horizontal(classes="row"):
            yield Static("Order", classes="label", markup=False)
            yield TickBox("one after another, in order", ticked=False, id="ordered")
        yield Note(id="note-ordered")
        yield from self._text("filter", placeholder="all of the events above")

    def on_mount(self) -> None:
        """Keep cursors still: blinking writes to the terminal for ever."""
        for name in _INPUTS:
            self.query_one(f"#{name}", Input).cursor_blink = False
        self.query_one("#headers", TextArea).cursor_blink = False

    @property
    def more(self) -> FoldTitle:
        """The heading of the settings that fold."""
        return self.query_one("#more-title", FoldTitle)

    def fold(self, title: FoldTitle) -> None:
        """Show or hide what folds, as its heading says."""
        self.set_class(title.opened, "-more")
        if title.opened:
            self.call_after_refresh(self.scroll_to_widget, title, animate=False, top=True)

    def unfold(self) -> None:
        """Show the folded settings."""
        title = self.more
        if not title.opened:
            title.action_act()
            self.fold(title)

    def go_to(self, name: str) -> None:
        """Give a field the keys, wherever it is."""
        if name in _FOLDED:
            self.unfold()
        self.query_one(f"#{name}").focus()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Show what is said below a field, too; the field itself is scrolled to already."""
        for note in self.query(f"#note-{event.widget.id}"):
            self.call_after_refresh(note.scroll_visible, animate=False)

    # -- filled and read

    def fill(self, values: FormValues) -> None:
        """Put values into all fields."""
        for name in ("url", "name", "user", "password", "timeout", "schedule", "rate", "in_flight"):
            self.query_one(f"#{name}", Input).value = cast("str", getattr(values, name))
        self.query_one("#filter", Input).value = values.filter
        self.query_one("#headers", TextArea).text = values.headers
        for name in ("active", "verify_tls", "ordered"):
            box = self.query_one(f"#{name}", TickBox)
            box.ticked = cast("bool", getattr(values, name))
            box.refresh()
        choice = self.query_one("#signature_hash", Choice)
        choice.chosen = list(choice.options).index(values.signature_hash)
        choice.refresh()
        self.query_one(EventBoxes).show(self._catalogue, values.events)

    def values(self) -> FormValues:
        """Return what stands in the fields now."""

        def typed(name: str) -> str:
            return self.query_one(f"#{name}", Input).value

        return FormValues(
            url=typed("url"),
            name=typed("name"),
            events=self.query_one(EventBoxes).events,
            active=self.query_one("#active", TickBox).ticked,
            headers=self.query_one("#headers", TextArea).text,
            user=typed("user"),
            password=typed("password"),
            signature_hash=self.query_one("#signature_hash", Choice).value,
            verify_tls=self.query_one("#verify_tls", TickBox).ticked,
            timeout=typed("timeout"),
            schedule=typed("schedule"),
            rate=typed("rate"),
            in_flight=typed("in_flight"),
            ordered=self.query_one("#ordered", TickBox).ticked,
            filter=typed("filter"),
        )

    # -- notes

    def note(self, name: str, text: str, tone: Tone = "quiet") -> None:
        """Say something at a field."""
        self.query_one(f"#note-{name}", Note).show(text, tone)

    def show_notes(self, values: FormValues, wrong: dict[str, str], tone: Tone) -> None:
        """Show at each field what is wrong with it, else what it means."""
        for name in (*LABELS, "events", "verify_tls", "ordered"):
            if name in wrong:
                self.note(name, wrong[name], tone)
            elif name != "schedule":
                self.note(name, hint(name, values, self._key))


def hint(name: str, values: FormValues, key: KeyOf) -> str:
    """Return what a field means, given what is typed."""
    if name == "url":
        return _url_hint(values.url.strip())
    if name == "events":
        return f"{key('mark')} ticks; a group means all of its events, also future ones"
    if name == "verify_tls":
        return "" if values.verify_tls else "anyone on the way can read and change deliveries"
    if name == "ordered":
        return "a failing delivery then holds up those behind it" if values.ordered else ""
    return _HINTS.get(name, "")


def _url_hint(url: str) -> str:
    if not url:
        return "where deliveries go, HTTP or HTTPS"
    try:
        target = parse_url(url)
    except Refused:
        return ""
    host = target.unicode_host
    if host != target.host:
        host += f" (really {target.host})"
    if target.scheme == "http":
        return f"to {host}, port {target.port}; not encrypted, prefer https"
    return f"to {host}, port {target.port}, encrypted"
