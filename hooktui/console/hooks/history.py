"""The history of a hook: the list of its audit entries, and one of them in full."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final

from textual.app import ComposeResult
from textual.containers import Vertical

from hooktui.console.formatting import moment, since_words
from hooktui.console.widgets.document_lines import Section
from hooktui.console.widgets.document_view import DocumentView
from hooktui.console.widgets.page_window import PageSource
from hooktui.console.widgets.styled import StyledLine
from hooktui.console.widgets.table import Column
from hooktui.console.widgets.windowed_list import WindowedList
from hooktui.domain.clock import exact_duration
from hooktui.domain.errors import NotAllowed
from hooktui.domain.hook_fields import HOOK_SETTINGS
from hooktui.domain.setting import Setting
from hooktui.domain.wire.access import AuditEntry

_ACTIONS: Final = {
    "hook.create": "created",
    "hook.change": "changed",
    "hook.delete": "deleted",
    "hook.ping": "pinged",
    "hook.diagnose": "diagnosed",
    "secret.reveal": "secret shown",
    "secret.rotate": "secret rotated",
    "secret.finish": "rotation ended",
}

_FIRST: Final = ("url", "events", "name")
_NOTHING: Final[tuple[object, ...]] = (None, "", [], {})


def action_words(entry: AuditEntry) -> str:
    """Return the action in a word or two, with its result unless it was done."""
    words = _ACTIONS.get(entry.action, entry.action)
    return words if entry.result == "done" else f"{words}: {entry.result}"


def changes_of(entry: AuditEntry) -> list[tuple[str, str, str]]:
    """Return name, old value and new value of each field of an entry; "" if a value is unknown."""
    before, after = entry.before or {}, entry.after or {}
    names = dict.fromkeys((*before, *after))
    if entry.action in ("hook.create", "hook.delete"):
        # These entries have all fields: omit empty ones, and put the most informative ones first.
        shown = {**before, **after}
        names = dict.fromkeys(name for name in (*_FIRST, *names) if shown.get(name) not in _NOTHING)
    return [(_label(name), _value(before, name), _value(after, name)) for name in names]


def _label(name: str) -> str:
    if name in HOOK_SETTINGS:
        return HOOK_SETTINGS[name].label
    # The value has its unit.
    return name.removesuffix("_s").removesuffix("_id").replace("_", " ")


def _value(fields: Mapping[str, object], name: str) -> str:
    return value_words(name, fields[name]) if name in fields else ""


def value_words(name: str, value: object) -> str:
    """Return a value in the notation of the form; untrusted text is returned unchanged."""
    setting = HOOK_SETTINGS.get(name)
    if setting is not None and not isinstance(value, dict):
        with suppress(TypeError, ValueError):  # a value from a newer server
            return _setting_words(setting, value)
    match value:
        case _ if value in _NOTHING:
            return "none"
        case bool():
            return "yes" if value else "no"
        case int() | float() if name.endswith("_s"):
            return exact_duration(value)
        case [*items]:
            return ", ".join(str(item) for item in items)
        case {**fields}:
            return ", ".join(f"{key}: {field}" for key, field in fields.items())
        case _:
            return str(value)


def _setting_words(setting: Setting, value: object) -> str:
    if setting.with_setting:  # the other setting is a separate field
        return setting.format((value, None))
    if isinstance(value, bool) or value in _NOTHING:
        return setting.describe(value) or "none"
    return setting.format(value)


def _change_pairs(entry: AuditEntry) -> tuple[tuple[str, str], ...]:
    """Return name and change of each field of an entry: ``name``, ``first → second``."""
    return tuple(
        (name, f"{was} → {now}" if was and now else was or now)
        for name, was, now in changes_of(entry)
    )


def summary(entry: AuditEntry) -> str:
    """Return the changes in one line: ``name: first → second, active: yes → no``."""
    return ", ".join(f"{name}: {change}" for name, change in _change_pairs(entry))


def entry_sections(entry: AuditEntry, now_ms: int) -> Sequence[Section]:
    """Return an entry as sections: each field before and after, then user, time and origin."""
    fields = _change_pairs(entry)
    sections = [Section(f"Hook {action_words(entry)}", pairs=fields)] if fields else []
    who = (
        ("when", f"{moment(entry.at, now_ms)} ({since_words(entry.at, now_ms)})"),
        ("who", f"{entry.user} ({entry.role})"),
        ("from", entry.origin),
        ("audit entry", str(entry.id)),
    )
    return [*sections, Section("By", pairs=who)]


def history_columns(clock: Callable[[], int]) -> tuple[Column[AuditEntry], ...]:
    """Return the columns of a hook's history; times are clock times, as in every log."""
    return (
        Column(name="at", title="when", cell=lambda e: moment(e.at, clock()), width=12, grow=1,
               max_width=16, priority=0),
        Column(name="user", title="who", cell=lambda e: e.user, width=10, grow=1, max_width=24,
               priority=0),
        Column(name="action", title="what", cell=action_words, width=14, priority=0),
        Column(name="changes", title="before → after", cell=summary, width=20, grow=20, priority=1),
        Column(name="role", cell=lambda e: e.role, tone="quiet", width=8, priority=2),
    )  # fmt: skip


_EMPTY: Final[tuple[StyledLine, ...]] = (
    (("  The audit trail has no entry for this hook.", "plain"),),
)


class HookHistory(Vertical):
    """List of audit entries, with the one under the cursor in full below it."""

    DEFAULT_CSS = """
    HookHistory { height: 1fr; }
    HookHistory DocumentView { height: 40%; padding: 0 1; background: $surface; }
    """

    def __init__(
        self,
        source: PageSource[AuditEntry],
        clock: Callable[[], int],
        *,
        id: str,  # noqa: A002 - Textual's word
    ) -> None:
        super().__init__(id=id)
        self._clock = clock
        self.listing = WindowedList(
            history_columns(clock),
            source,
            lambda entry: entry.id,
            empty=_EMPTY,
            markable=False,
            id="entries",
        )
        self.entry = DocumentView(id="entry")

    def compose(self) -> ComposeResult:
        """Compose the list and the entry below it."""
        yield self.listing
        yield self.entry

    def on_windowed_list_moved(self, message: WindowedList.Moved) -> None:
        """Show the entry under the cursor."""
        message.stop()
        self.refresh_times()

    def refresh_times(self) -> None:
        """Redraw the entry under the cursor."""
        row = self.listing.cursor_row
        self.entry.show([] if row is None else entry_sections(row, self._clock()))

    def on_windowed_list_opened(self, message: WindowedList.Opened) -> None:
        """Focus the entry, for scrolling and copying; Tab returns to the list."""
        message.stop()
        self.entry.focus()

    def on_windowed_list_failed(self, message: WindowedList.Failed) -> None:
        """Show in place of the entries that the role may not read them."""
        if isinstance(message.error, NotAllowed):
            message.stop()
            self.listing.empty = (
                (("  You may not read the history of this hook.", "strong"),),
                (),
                ((f"  {message.error.detail}", "quiet"),),
            )
            self.listing.loaded = True
            self.listing.refresh()
