"""The fields of a hook's form: layout, values, and a note below or beside each field."""

from __future__ import annotations

from typing import Final

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widget import Widget
from textual.widgets import Input, Static, TextArea

from hooktui.console.hooks.event_boxes import EventBoxes
from hooktui.console.hooks.form_values import FIELDS, FOLDED, FormValues
from hooktui.console.registry import KeyOf
from hooktui.console.widgets.controls import Choice, FoldTitle, Note, TickBox
from hooktui.console.widgets.styled import StyleName
from hooktui.domain.addresses import parse_url
from hooktui.domain.errors import Refused
from hooktui.domain.hook_fields import HOOK_SETTINGS
from hooktui.domain.setting import Setting
from hooktui.domain.wire.events import Catalogue

LABELS: Final = {
    "user": "User",
    "password": "Password",
    **{name: one.label[:1].upper() + one.label[1:] for name, one in HOOK_SETTINGS.items()},
}
_HINTS: Final = {
    "headers": "one a line, Name: value; begin with the word secret to keep a value hidden",
    "user": "basic authentication at the receiver; empty for none",
}


class FormFields(VerticalScroll):
    """Fields for every setting of a hook; settings that rarely change are folded.

    ``keeps_password``: an empty password means the stored one.
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

    # -- layout

    def compose(self) -> ComposeResult:
        """Compose all fields; the values are set later."""
        yield from self._row("url", self._input("url", placeholder="https://example.com/hook"))
        yield from self._row("name", self._control(HOOK_SETTINGS["name"]))
        yield from self._row("active", self._control(HOOK_SETTINGS["active"]))
        yield from self._row("events", beside=True)
        yield EventBoxes(self._catalogue)
        yield FoldTitle("More settings", id="more-title")
        with Vertical(id="more"):
            area = TextArea(id="headers", compact=True, tab_behavior="focus", soft_wrap=False)
            yield from self._row("headers", area)
            yield from self._row("user", self._input("user"))
            placeholder = "unchanged" if self._keeps_password else ""
            yield from self._row("password", self._input("password", placeholder, password=True))
            for setting in FOLDED:
                short = setting.kind in (int, float)
                yield from self._row(setting.name, self._control(setting), beside=short)

    def _row(self, name: str, *control: Widget, beside: bool = False) -> ComposeResult:
        """Compose a label, a control, and a note beside or below them."""
        note = Note(id=f"note-{name}")
        with Horizontal(classes="row short" if beside else "row", id=f"row-{name}"):
            yield Static(LABELS[name], classes="label", markup=False)
            yield from control
            if beside:
                yield note
        if not beside:
            yield note

    def _control(self, setting: Setting) -> Widget:
        if setting.kind is bool:
            return TickBox(setting.help, ticked=setting.default, id=setting.name)
        if setting.choices:
            return Choice(setting.choices, id=setting.name)
        return self._input(setting.name, setting.empty)

    def _input(self, name: str, placeholder: str = "", *, password: bool = False) -> Input:
        return Input(placeholder=placeholder, password=password, id=name, compact=True)

    def on_mount(self) -> None:
        """Disable the blinking of cursors, which writes to the terminal all the time."""
        for field in self.query(Input):
            field.cursor_blink = False
        self.query_one(TextArea).cursor_blink = False

    @property
    def fold_title(self) -> FoldTitle:
        """The heading of the foldable settings."""
        return self.query_one("#more-title", FoldTitle)

    def fold(self, title: FoldTitle) -> None:
        """Show or hide the foldable settings, depending on the state of their heading."""
        self.set_class(title.opened, "-more")
        if title.opened:
            self.call_after_refresh(self._show_title, title)

    def _show_title(self, title: FoldTitle) -> None:
        """Scroll to the heading of unfolded settings, unless one of them has the focus."""
        if not self.is_attached:
            return  # the form was closed meanwhile
        focused = self.screen.focused
        if focused is None or self.query_one("#more") not in focused.ancestors:
            self.scroll_to_widget(title, animate=False, top=True, immediate=True)

    def unfold(self) -> None:
        """Show the folded settings."""
        title = self.fold_title
        if not title.opened:
            title.action_act()
            self.fold(title)

    def go_to(self, name: str) -> None:
        """Focus a field, unfold the settings if it is one of those, and scroll to it."""
        field = self.query_one(f"#{name}")
        if self.query_one("#more") in field.ancestors:
            self.unfold()
        self.screen.set_focus(field, scroll_visible=False)
        self.call_after_refresh(self._show_field, name)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Scroll to the whole field that received the focus."""
        self.call_after_refresh(self._show_field, event.widget.id)

    def _show_field(self, name: str | None) -> None:
        """Scroll to the note of a field, then to its row, so that at least the row is visible."""
        for part in (*self.query(f"#note-{name}"), *self.query(f"#row-{name}")):
            self.scroll_to_widget(part, animate=False, immediate=True)

    # -- values

    def fill(self, values: FormValues) -> None:
        """Set the values of all fields."""
        for name, content in values.items():
            field = self.query_one(f"#{name}")
            match field:
                case Input():
                    field.value = content
                case TextArea():
                    field.text = content
                case TickBox():
                    field.ticked = content
                case Choice():
                    field.chosen = field.options.index(content)
                case EventBoxes():
                    field.show(self._catalogue, content)
            field.refresh()

    def values(self) -> FormValues:
        """Return the values of the fields."""
        return FormValues({name: _content(self.query_one(f"#{name}")) for name in FIELDS})

    # -- notes

    def note(self, name: str, text: str, tone: StyleName = "quiet") -> None:
        """Show a text in the note of a field."""
        self.query_one(f"#note-{name}", Note).show(text, tone)

    def show_notes(self, values: FormValues, wrong: dict[str, str], tone: StyleName) -> None:
        """Show the error of each field, or else its hint."""
        for name in FIELDS:
            if name in wrong:
                self.note(name, wrong[name], tone)
            elif name != "retry_schedule_s":
                self.note(name, hint(name, values, self._key))


def _content(field: Widget) -> object:
    match field:
        case Input() | Choice():
            return field.value
        case TextArea():
            return field.text
        case TickBox():
            return field.ticked
        case EventBoxes():
            return field.events
    raise TypeError(field)


def hint(name: str, values: FormValues, key: KeyOf) -> str:
    """Return the hint of a field, depending on the values of the form."""
    if name == "url":
        return _url_hint(values["url"].strip())
    if name == "events":
        return f"{key('mark')} ticks; a group includes its future event types"
    if name in _HINTS:
        return _HINTS[name]
    setting = HOOK_SETTINGS.get(name)
    if setting is None or setting.basic:
        return ""
    if setting.kind is bool:
        return setting.caution if values[name] != setting.default else ""
    return setting.help


def _url_hint(url: str) -> str:
    if not url:
        return "where deliveries go, HTTP or HTTPS"
    try:
        target = parse_url(url)
    except Refused:
        return ""
    host = target.unicode_host
    if host != target.host:
        host += f" (host name: {target.host})"
    if target.scheme == "http":
        return f"to {host}, port {target.port}; not encrypted, prefer https"
    return f"to {host}, port {target.port}, encrypted"
