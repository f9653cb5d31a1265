"""The form of a hook: made new or edited, checked while it is typed, saved with ctrl+s.

An edit sends only what was changed, with the version that was read; when somebody else saved
meanwhile the admin decides, and nothing typed is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Final, TypeVar, cast

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Input, Static, TextArea

from hooktui.client import calls
from hooktui.console import form_values
from hooktui.console.base import HouseScreen
from hooktui.console.delivery_words import planned
from hooktui.console.form_values import FormValues
from hooktui.console.screens.question import Answer, Question
from hooktui.console.times import counted
from hooktui.console.widgets.choices import Choice, Control, FoldTitle, Note, TickBox
from hooktui.console.widgets.event_boxes import EventBoxes
from hooktui.console.widgets.event_selection import in_words
from hooktui.console.widgets.painted import Pieces, Tone
from hooktui.domain.addresses import parse_url
from hooktui.domain.errors import Conflict, FieldError, HooktuiError, Refused
from hooktui.domain.objects import Hook
from hooktui.domain.signatures import HASHES

T = TypeVar("T")

_LABELS: Final = {
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


class HookForm(HouseScreen):
    """A new hook (None), or the edit of one."""

    VERBS = ("save", "back", "mark")
    DEFAULT_CSS = """
    HookForm #fields { padding: 0 1; height: 1fr; scrollbar-size-vertical: 1; }
    HookForm .row { height: auto; }
    HookForm .label { width: 11; color: $text-muted; }
    HookForm .row > Input { width: 1fr; max-width: 90; }
    HookForm .short > Input { max-width: 14; margin-right: 2; }
    HookForm TextArea { height: 4; width: 1fr; max-width: 90; border: none; padding: 0 1;
        background: $panel; }
    HookForm .row > Note, HookForm .row > Control { margin-left: 1; }
    HookForm #fields > Note, HookForm #more > Note { padding-left: 12; }
    HookForm .short > Note { width: 1fr; }
    HookForm #more { height: auto; display: none; }
    HookForm.-more #more { display: block; }
    HookForm #summary { padding: 0 1; background: $surface; max-height: 3; }
    """

    def __init__(self, hook: Hook | None) -> None:
        super().__init__()
        self.hook = hook
        self.before = form_values.new_values() if hook is None else form_values.values_of(hook)
        self._tried = False
        self._saving = False
        self._server_said: dict[str, tuple[str, object]] = {}

    def heading(self) -> tuple[Pieces, Pieces]:
        """Name the hook that is edited."""
        if self.hook is None:
            return ((" New webhook", "strong"),), ()
        named: Pieces = ((f" Edit hook {self.hook.id}", "strong"), (f"  {self.hook.name}", "plain"))
        return named, (("webhook ", "quiet"),)

    # -- the fields

    def compose_body(self) -> ComposeResult:
        """Lay out all fields; the values are filled in on mount."""
        with VerticalScroll(id="fields", can_focus=False):
            yield from self._text("url", placeholder="https://example.com/hook")
            yield from self._text("name", placeholder="the host of the URL")
            with Horizontal(classes="row"):
                yield Static("Active", classes="label", markup=False)
                yield TickBox("events are sent to it", ticked=True, id="active")
            with Horizontal(classes="row"):
                yield Static("Events", classes="label", markup=False)
                yield Note(id="note-events")
            yield EventBoxes(self.house.catalogue, id="events")
            yield FoldTitle("More settings", id="more-title")
            with Vertical(id="more"):
                yield from self._more()
        yield Note(id="summary")

    def _text(self, name: str, *, placeholder: str = "", password: bool = False) -> ComposeResult:
        with Horizontal(classes="row"):
            yield Static(_LABELS[name], classes="label", markup=False)
            yield Input(placeholder=placeholder, password=password, id=name, compact=True)
        yield Note(id=f"note-{name}")

    def _short(self, name: str) -> ComposeResult:
        with Horizontal(classes="row short"):
            yield Static(_LABELS[name], classes="label", markup=False)
            yield Input(id=name, compact=True)
            yield Note(id=f"note-{name}")

    def _more(self) -> ComposeResult:
        with Horizontal(classes="row"):
            yield Static(_LABELS["headers"], classes="label", markup=False)
            yield TextArea(id="headers", compact=True, tab_behavior="focus", soft_wrap=False)
        yield Note(id="note-headers")
        yield from self._text("user")
        kept = self.hook is not None and self.hook.basic_auth is not None
        yield from self._text("password", placeholder="unchanged" if kept else "", password=True)
        with Horizontal(classes="row"):
            yield Static(_LABELS["signature_hash"], classes="label", markup=False)
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
        """Fill in the values."""
        self._fill(self.before)
        for name in ("url", "name", "filter", "timeout", "schedule", "rate", "in_flight"):
            self.query_one(f"#{name}", Input).cursor_blink = False

    def _fill(self, values: FormValues) -> None:
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
        self.query_one(EventBoxes).show(self.house.catalogue, values.events)
        self._judge()

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

    # -- judged while typing

    def on_input_changed(self) -> None:
        """Judge what is typed."""
        self._judge()

    def on_text_area_changed(self) -> None:
        """Judge what is typed."""
        self._judge()

    def on_event_boxes_changed(self) -> None:
        """Judge what is ticked."""
        self._judge()

    def on_control_changed(self, message: Control.Changed) -> None:
        """Judge what is ticked, or show what folds."""
        if isinstance(message.control, FoldTitle):
            self.set_class(message.control.opened, "-more")
        self._judge()

    def on_input_submitted(self) -> None:
        """Go on to the next field on Enter."""
        self.focus_next()

    def _judge(self) -> None:
        """Show at each field what is wrong or what it means, and below what will be saved."""
        values = self.values()
        settings, errors = form_values.read(values, self.house.catalogue)
        shown = self._shown_errors(values, errors)
        for name in (*_LABELS, "events", "verify_tls", "ordered"):
            if name == "password" or name in shown:
                continue
            self.query_one(f"#note-{name}", Note).show(self._hint(name, values))
        for name, detail in shown.items():
            note = self.query_one(f"#note-{name}", Note)
            note.show(detail, "bad" if self._tried else "warn")
        schedule = self.query_one("#note-schedule", Note)
        if "schedule" not in shown:
            times = planned(settings.retry_schedule_s, self.house.clock())
            total = form_values.total_in_words(settings.retry_schedule_s)
            schedule.show(f"{total}, if it failed from now on: {', '.join(times)} (each ±10 %)")
        self.query_one(FoldTitle).summarise(form_values.more_in_words(values))
        self.query_one("#summary", Note).show(*self._summary(values, len(shown)))

    def _shown_errors(self, values: FormValues, errors: list[FieldError]) -> dict[str, str]:
        """Return the first error of each field; of untouched fields only after a try to save."""
        shown: dict[str, str] = {}
        for error in errors:
            name = form_values.form_field(error.pointer)
            if name is None or name in shown:
                continue
            touched = getattr(values, name) != getattr(self.before, name)
            if self._tried or (touched and getattr(values, name)):
                shown[name] = error.detail
        for name, (detail, value) in self._server_said.items():
            if name not in shown and getattr(values, name) == value:
                shown[name] = detail
        if "password" in shown:
            shown.setdefault("user", shown.pop("password"))
        return shown

    def _hint(self, name: str, values: FormValues) -> str:
        if name == "url":
            return self._url_hint(values.url.strip())
        if name == "events":
            return "Space ticks; a group means all of its events, also future ones"
        if name == "verify_tls":
            return "" if values.verify_tls else "anyone on the way can read and change deliveries"
        if name == "ordered":
            return "a failing delivery then holds up those behind it" if values.ordered else ""
        return _HINTS.get(name, "")

    def _url_hint(self, url: str) -> str:
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

    def _summary(self, values: FormValues, wrong: int) -> tuple[str, Tone]:
        """Return in words what ctrl+s would save, and whether it can."""
        events = in_words(self.house.catalogue, values.events)
        try:
            host = parse_url(values.url.strip()).unicode_host
        except Refused:
            host = "…"
        state = "active" if values.active else "not active: nothing is sent but pings"
        words = f"Webhook to {host} for {events}, {state}"
        if not values.url.strip() and not values.events:
            return "Type a URL and tick events; ^s saves.", "quiet"
        if self.hook is not None and values == self.before:
            return f"Nothing changed yet. {words}.", "quiet"
        if wrong and self._tried:
            return f"{words}. Not saved: {counted(wrong, 'field')} to mend above.", "bad"
        return f"{words}.", "plain"

    def verb_mark(self) -> None:
        """Go to the boxes, where Space ticks."""
        self.query_one(EventBoxes).focus()

    # -- saving

    async def verb_save(self) -> None:
        """Save, or show at the fields what is wrong."""
        if self._saving:
            return
        self._saving = True
        self._tried = True
        try:
            await (self._create() if self.hook is None else self._edit(self.hook))
        finally:
            self._saving = False

    async def _create(self) -> None:
        values = self.values()
        settings, errors = form_values.read(values, self.house.catalogue)
        if errors:
            self._blame(values, errors)
            return
        call = calls.create_hook(self.house.account, form_values.creation(settings))
        made = await self._send(values, call)
        if made is None:
            return
        from hooktui.console.screens.secret import SecretScreen

        self.app.switch_screen(SecretScreen(made, made.secret, made.warnings))

    async def _edit(self, hook: Hook) -> None:
        values = self.values()
        changed, errors = form_values.changes(self.before, values, self.house.catalogue)
        if errors:
            self._blame(values, errors)
            return
        if not changed:
            self.notice("nothing was changed; Esc leaves")
            return
        call = calls.edit_hook(hook.id, {**changed, "version": hook.version})
        try:
            saved = await self._send(values, call)
        except Conflict as conflict:
            await self._settle(hook, values, conflict)
            return
        if saved is not None:
            self._leave(f"hook {saved.id} is saved")

    async def _send(self, values: FormValues, call: calls.Call[T]) -> T | None:
        """Send a call; what the server refuses is shown at the fields.

        Raises:
            Conflict: somebody else saved meanwhile.
        """
        try:
            return await self.ask(call)
        except Refused as refused:
            self._blame(values, refused.errors or [FieldError("", refused.detail)])
        except Conflict:
            raise
        except HooktuiError as error:
            self.show_error(error)
        return None

    def _blame(self, values: FormValues, errors: Sequence[FieldError]) -> None:
        """Show errors at their fields until those change, and go to the first one."""
        self._server_said = {}
        elsewhere = []
        for error in errors:
            name = form_values.form_field(error.pointer)
            if name is None:
                elsewhere.append(error.detail)
            else:
                self._server_said.setdefault(name, (error.detail, getattr(values, name)))
        self._judge()
        if elsewhere:
            self.notice("; ".join(elsewhere), "bad")
        for name in (f.name for f in fields(FormValues)):
            if name in self._server_said:
                if name in _FOLDED:
                    self._unfold()
                self.query_one(f"#{name}").focus()
                return

    def _unfold(self) -> None:
        title = self.query_one(FoldTitle)
        if not title.opened:
            title.action_act()
            self.add_class("-more")

    # -- somebody else saved meanwhile

    async def _settle(self, hook: Hook, values: FormValues, conflict: Conflict) -> None:
        """Let the admin decide between what was saved meanwhile and what is typed here."""
        newest = await self.call(calls.get_hook(hook.id))
        if newest is None:
            return
        theirs = form_values.values_of(newest)
        both = form_values.both_changed(self.before, values, theirs)
        fields_both = ", ".join(_LABELS.get(name, name.replace("_", " ")).lower() for name in both)
        details = f"{conflict.detail}\n" + (
            f"You both changed: {fields_both}."
            if both
            else "You changed different fields; nothing of either is lost."
        )
        answer = await self.app.push_screen_wait(
            Question(
                "Somebody else saved this hook meanwhile",
                details,
                (
                    Answer("r", "reload theirs beneath what I typed, and look again", "reload"),
                    Answer("o", "overwrite: save what I typed over theirs", "overwrite"),
                    Answer("b", "back to the form as it is", "back"),
                ),
            )
        )
        if answer is None or answer == "back":
            return
        merged = form_values.rebased(self.before, self.values(), theirs)
        self.hook, self.before = newest, theirs
        self._fill(merged)
        self.refresh_frame()
        if answer == "overwrite":
            await self._edit(newest)
        else:
            self.notice("theirs is loaded, with what you typed on top; ^s saves", "plain")

    # -- leaving

    def verb_back(self) -> None:
        """Leave; ask first when something typed would be lost."""
        self._go(self._leave)

    def verb_go_hooks(self) -> None:
        """Go to the hooks; ask first when something typed would be lost."""
        self._go(self.house.go_hooks)

    def verb_go_log(self) -> None:
        """Go to the live log; ask first when something typed would be lost."""
        self._go(self.house.go_log)

    def verb_quit(self) -> None:
        """Quit; ask first when something typed would be lost."""
        self._go(self.app.exit)

    def _go(self, leave: Callable[[], object]) -> None:
        if self.values() == self.before:
            leave()
            return

        def answered(answer: str | None) -> None:
            if answer == "leave":
                leave()

        what = "this new hook" if self.hook is None else f"the changes to hook {self.hook.id}"
        self.app.push_screen(
            Question(
                "Leave without saving?",
                f"What you typed for {what} would be lost.",
                (Answer("s", "stay in the form", "stay"), Answer("y", "leave it", "leave")),
            ),
            answered,
        )

    def _leave(self, said: str = "") -> None:
        self.dismiss(None)
        if said:
            self.app.call_later(self.house.notice, said, "good")
