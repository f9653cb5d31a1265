"""Form that creates or edits a hook; it is validated while typing and saved with ctrl+s.

An edit sends only changed fields, with the version that was loaded. If another admin has saved the
hook in the meantime, the user chooses between the versions, and no input is lost. For a new hook, a
list of hook types comes first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

from textual.app import ComposeResult

from hooktui.client import calls
from hooktui.console.deliveries.text import attempt_times
from hooktui.console.formatting import short_name, with_local_times
from hooktui.console.frame.dialogs import DialogOption, ask
from hooktui.console.frame.screen import ConsoleScreen
from hooktui.console.hooks import form_values
from hooktui.console.hooks.dry_run import DryRunLines
from hooktui.console.hooks.event_boxes import EventBoxes, subscription_words
from hooktui.console.hooks.form_fields import LABELS, FormFields
from hooktui.console.hooks.form_values import FormValues
from hooktui.console.hooks.secret_screen import SecretScreen
from hooktui.console.registry import relabel
from hooktui.console.shell.change_feed import FeedChanges
from hooktui.console.shell.server_calls import ResultMessage, Severity
from hooktui.console.widgets.controls import Control, FoldTitle, Note, ShortList, ShortRow
from hooktui.console.widgets.styled import StyledLine, StyleName
from hooktui.domain.addresses import parse_url
from hooktui.domain.errors import Conflict, FieldError, NotFound, Refused
from hooktui.domain.schedule import count_attempts
from hooktui.domain.text import counted
from hooktui.domain.wire.hooks import ChangedHook, CreatedHook, Hook

T = TypeVar("T")


class HookForm(ConsoleScreen):
    """Form of a new hook (``hook`` is None) or of an existing one."""

    HEADING = "Webhook form"
    COMMAND_NAMES = ("save", "back", "mark")
    COMMAND_LABELS = (
        relabel("mark", "tick", "Tick or untick the box; Tab goes to the next field"),
    )
    DEFAULT_CSS = """
    HookForm #summary { padding: 0 1; background: $surface; max-height: 3; }
    """

    def __init__(self, hook: Hook | None) -> None:
        super().__init__()
        self.hook = hook
        self.handlers.update(mark=self.mark, save=self.save)
        self.before = form_values.new_values() if hook is None else form_values.values_of(hook)
        self._stored = self.before  # with the write-only values that the server has
        self._save_attempted = False
        self._saving = False
        self._server_errors: dict[str, tuple[str, object]] = {}

    def heading(self) -> StyledLine:
        """Return the title with the edited hook."""
        if self.hook is None:
            return ((" New webhook", "strong"),)
        return ((f" Edit hook {self.hook.id}", "strong"), (f"  {self.hook.name}", "plain"))

    def heading_end(self) -> StyledLine:
        """Return the type of the edited hook, instead of the top screens."""
        return () if self.hook is None else (("webhook ", "quiet"),)

    # -- the fields

    def compose_body(self) -> ComposeResult:
        """Compose the fields, the dry run, and the summary of what will be saved."""
        keeps_password = self.hook is not None and self.hook.basic_auth is not None
        yield FormFields(self.shell.catalogue, self.shell.key, keeps_password=keeps_password)
        yield DryRunLines()
        yield Note(id="summary")

    def begin(self) -> None:
        """Set up the values of the fields."""
        super().begin()
        self._fill(self.before)

    @property
    def fields(self) -> FormFields:
        """The widget of the fields."""
        return self.query_one(FormFields)

    @property
    def dry_run(self) -> DryRunLines:
        """The widget of the dry run."""
        return self.query_one(DryRunLines)

    def values(self) -> FormValues:
        """Return the values of the fields."""
        return self.fields.values()

    def _fill(self, values: FormValues) -> None:
        self.fields.fill(values)
        self._check_form()

    # -- validation while typing

    def on_control_changed(self, message: Control.Changed) -> None:
        """Fold or unfold a section, if its heading was toggled, and validate the form."""
        if message.sender is self.dry_run.title:
            self.dry_run.fold()
        elif isinstance(message.sender, FoldTitle):
            self.fields.fold(message.sender)
        self._check_form()

    def on_input_submitted(self) -> None:
        """Focus the next field on Enter."""
        self.focus_next()

    def _check_form(self) -> None:
        """Show the error or the hint of each field, and the summary of what will be saved."""
        if not self.is_attached:
            return  # a change of a field was still pending when the form closed
        values = self.values()
        settings, errors = form_values.read(values, self.shell.catalogue)
        missing = self._asked_again(values)
        shown = self._shown_errors(values, missing, errors)
        self.fields.show_notes(values, shown, "bad" if self._save_attempted else "warn")
        if missing and "url" not in shown:
            where = f"{'; '.join(error.detail for error in missing)} (More settings)"
            self.fields.note("url", where, "warn")
        if "retry_schedule_s" not in shown:
            times = attempt_times(settings.retry_schedule_s, self.shell.clock())
            total = count_attempts(settings.retry_schedule_s)
            plan = f"{total} if all fail, starting now: {', '.join(times)} (each ±10 %)"
            self.fields.note("retry_schedule_s", plan)
        self.fields.fold_title.summarise(form_values.folded_in_words(values))
        self.query_one("#summary", Note).show(*self._summary(values, len(shown)))
        self.dry_run.try_out(self.hook, settings, errors)

    on_input_changed = on_text_area_changed = on_event_boxes_changed = _check_form
    refresh_times = _check_form

    def _shown_errors(
        self, values: FormValues, missing: Sequence[FieldError], errors: Sequence[FieldError]
    ) -> dict[str, str]:
        """Return the first error of each field.

        The errors of untouched or empty fields are shown only after an attempt to save, except for
        values that are ``missing``.
        """
        shown: dict[str, str] = {}
        for error in missing:
            name = form_values.form_field(error.pointer)
            if name is not None:
                shown.setdefault(name, error.detail)
        for error in errors:
            name = form_values.form_field(error.pointer)
            if name is None:
                continue
            typed = values[name] != self.before[name] and values[name]
            if typed or self._save_attempted:
                shown.setdefault(name, error.detail)
        for name, (detail, value) in self._server_errors.items():
            if values[name] == value:
                shown.setdefault(name, detail)
        return shown

    def _summary(self, values: FormValues, wrong: int) -> tuple[str, StyleName]:
        """Return the summary of what would be saved, or why it was not, and its style."""
        key = self.shell.key
        events = subscription_words(self.shell.catalogue, values["events"])
        try:
            host = parse_url(values["url"].strip()).unicode_host
        except Refused:
            host = "…"
        state = "active" if values["active"] else "disabled: only pings are sent"
        words = f"Webhook to {host} for {events}, {state}"
        if wrong and self._save_attempted:
            return f"Not saved: {counted(wrong, 'field')} to correct.", "bad"
        if not values["url"].strip() and not values["events"]:
            keys = f"{key('mark')} ticks; {key('save')} saves"
            return f"Type a URL; Tab moves to the events, {keys}.", "quiet"
        if self.hook is not None and values == self.before:
            return f"Nothing changed yet. {words}.", "quiet"
        return f"{words}.", "plain"

    def mark(self) -> None:
        """Focus the event boxes, where Space ticks."""
        self.query_one(EventBoxes).focus()

    # -- saving

    async def save(self) -> None:
        """Save the hook, or show the errors at their fields."""
        self._saving = True
        self._save_attempted = True
        try:
            await (self._create() if self.hook is None else self._edit(self.hook))
        finally:
            self._saving = False

    async def _create(self) -> None:
        values = self.values()
        settings, errors = form_values.read(values, self.shell.catalogue)
        if self._refuses(values, errors):
            return
        call = calls.create_hook(self.shell.account.number, form_values.creation(settings))
        made = await self._send(values, call, "creating the hook", self._made)
        if made is None:
            return
        self.shell.navigation.select("Hooks", made.id)
        if not self.leave(SecretScreen(made, made.secret, made.warnings)):
            self.before = values  # no unsaved changes remain
            self.notice(*self._made(made))

    def _made(self, hook: CreatedHook) -> tuple[str, Severity]:
        """Return the notice of a hook that was created too late for its secret to be shown."""
        secret = f"{self.shell.key('secret')} shows its secret"
        words = f"hook {hook.id} ({short_name(hook.name)}) created; {secret}"
        return "; ".join([words, *hook.warnings]), "good"

    async def _edit(self, hook: Hook) -> None:
        values = self.values()
        changed, errors = form_values.changes(self.before, values, self.shell.catalogue)
        if self._refuses(values, errors):
            return
        if not changed:
            self.notice(f"nothing was changed; {self.shell.key('back')} goes back")
            return
        call = calls.edit_hook(hook.id, {**changed, "version": hook.version})
        try:
            saved = await self._send(values, call, f"saving hook {hook.id}", _saved)
        except Conflict as conflict:
            await self._resolve_conflict(hook, values, conflict)
            return
        except NotFound:
            await self._resolve_deletion(hook)
            return
        if saved is not None:
            self._leave(_saved(saved)[0])

    def _refuses(self, values: FormValues, errors: Sequence[FieldError]) -> bool:
        """Show errors, or ask for write-only values again; return whether there is either."""
        if errors:
            self._show_field_errors(values, errors)
            return True
        missing = self._asked_again(values)
        if missing:
            self._check_form()
            self.fields.go_to(form_values.form_field(missing[0].pointer) or "url")
        return bool(missing)

    def _asked_again(self, values: FormValues) -> list[FieldError]:
        return form_values.asked_again(
            self._stored, values, self.shell.catalogue, deleted=self.hook is None
        )

    async def _send(
        self, values: FormValues, call: calls.Call[T], doing: str, message: ResultMessage
    ) -> T | None:
        """Return the response of a call; show refused values at their fields, and return None.

        Raises:
            HooktuiError: any other error, such as `Conflict` if someone else has saved the hook.
        """
        try:
            return await self.change(call, doing, message)
        except Refused as refused:
            self._show_field_errors(values, refused.errors or [FieldError("", refused.detail)])
        return None

    def _show_field_errors(self, values: FormValues, errors: Sequence[FieldError]) -> None:
        """Show errors at their fields until the fields change, and focus the first one."""
        self._server_errors = {}
        elsewhere = []
        for error in errors:
            name = form_values.form_field(error.pointer)
            if name is None:
                elsewhere.append(error.detail)
            else:
                self._server_errors.setdefault(name, (error.detail, values[name]))
        self._check_form()
        if elsewhere:
            self.notice("; ".join(elsewhere), "bad")
        for name in form_values.FIELDS:
            if name in self._server_errors:
                self.fields.go_to(name)
                return

    # -- conflicts with other edits

    async def _resolve_conflict(self, hook: Hook, values: FormValues, conflict: Conflict) -> None:
        """Let the user choose between the version that another admin saved and their own edits."""
        newest = await self.call(calls.get_hook(hook.id))
        if newest is None:
            return
        theirs = form_values.values_of(newest)
        both = form_values.both_changed(self.before, values, theirs)
        answer = await self._ask_about_conflict(conflict, both)
        if answer is None or answer == "back":
            return
        merged = form_values.rebased(self.before, self.values(), theirs)
        self.hook, self.before, self._stored = newest, theirs, theirs
        self._fill(merged)
        self.refresh_frame()
        if answer == "save":
            await self._edit(newest)
        else:
            saves = f"{self.shell.key('save')} saves"
            self.notice(f"their version is loaded, with your edits; {saves}")

    async def _ask_about_conflict(self, conflict: Conflict, both: Sequence[str]) -> str | None:
        """Ask what to do; ``both`` are the fields that both users changed."""
        who = conflict.detail.partition("; ")[0]  # without the advice, which the choices replace
        who = with_local_times(who, self.shell.clock())
        what = "You changed different fields; saving keeps the changes of both."
        if both:
            names = ", ".join(LABELS[name].lower() for name in both)
            what = (
                f"You both changed: {names}. Saving keeps your values of these, and their changes"
                " of other fields."
            )
        options = (
            DialogOption("r", "load their version and keep my edits", "reload"),
            DialogOption("o", "save my changes over theirs", "save"),
            DialogOption("b", "back to my form", "back"),
        )
        title = "Someone else changed this hook while you were editing"
        return await ask(self, title, f"{who}\n{what}", options)

    async def _resolve_deletion(self, hook: Hook) -> None:
        """Let the user create a hook from the form of one that another admin has deleted."""
        options = (
            DialogOption("b", "back to my form", "back"),
            DialogOption("c", "create a new hook with these settings", "create"),
        )
        details = "It was not saved. A new hook has another number and another secret."
        title = f"Hook {hook.id} was deleted while you were editing"
        answer = await ask(self, title, details, options)
        if answer != "create" or self.hook is None:
            return
        self.hook, self.before = None, form_values.new_values()
        self._check_form()
        self.refresh_frame()
        await self._create()

    async def changed(self, changes: FeedChanges) -> None:
        """Request a failed dry run again once the server responds."""
        if changes.everything:
            self._check_form()

    # -- closing

    @property
    def unsaved(self) -> bool:
        """Whether closing the form would discard input."""
        return self.is_mounted and self.values() != self.before

    def leave_question(self) -> tuple[str, str]:
        """Return title and details of the question: what would be lost, or a save in progress."""
        if self._saving:
            details = "A notice will say whether it was saved; if not, your text is lost."
            return "Leave while it is being saved?", details
        lost = "The new hook" if self.hook is None else f"Your changes to hook {self.hook.id}"
        return "Leave without saving?", f"{lost} would be lost."

    def _leave(self, message: str) -> None:
        self.before = self.values()  # no unsaved changes remain
        self.leave_with_notice(message, "good")


def _saved(hook: ChangedHook) -> tuple[str, Severity]:
    return "; ".join([f"hook {hook.id} saved", *hook.warnings]), "good"


TYPES: Final = (ShortRow("web", "Webhook", "POSTs each event, signed, to an HTTP or HTTPS URL"),)
"""Hook types that can be created, the most common one first."""


class HookTypes(ConsoleScreen):
    """List to choose the type of a new hook."""

    HEADING = "New hook"
    COMMAND_NAMES = ("open", "back")
    DEFAULT_CSS = """
    HookTypes > Note { margin: 1 1 1 1; height: auto; }
    HookTypes > ShortList { height: 1fr; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.handlers.update(open=self.open)

    def heading_end(self) -> StyledLine:
        """Return nothing, as the form of a new hook."""
        return ()

    def compose_body(self) -> ComposeResult:
        """Compose the list with a hint above it."""
        yield Note("Choose where the new hook sends its events:", id="hint")
        yield ShortList(TYPES, id="types")

    def open(self) -> None:
        """Open the form of the type under the cursor."""
        self.query_one(ShortList).action_open()

    def on_short_list_chosen(self) -> None:
        """Replace this list with the form of the selected type."""
        self.app.switch_screen(HookForm(None))
