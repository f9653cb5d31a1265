"""Screens of the audit trail: the list, newest first, a check of its hash chain, and one entry."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import VerticalScroll

from hooktui.client import calls
from hooktui.console.access.audit_text import (
    FILTER_HINT,
    FILTER_TERMS,
    audit_columns,
    checked_words,
    entry_lines,
    parse_filter,
)
from hooktui.console.frame.frame_text import introduction
from hooktui.console.frame.list_screen import ListScreen
from hooktui.console.frame.screen import ConsoleScreen
from hooktui.console.registry import relabel
from hooktui.console.shell.server_calls import Severity
from hooktui.console.widgets.chrome import Lines
from hooktui.console.widgets.page_window import PageQuery
from hooktui.console.widgets.styled import StyledLine
from hooktui.console.widgets.table import Column
from hooktui.domain.roles import Need
from hooktui.domain.wire.access import AuditEntry
from hooktui.domain.wire.pages import Page


class AuditScreen(ListScreen[AuditEntry]):
    """List of the audit entries of all accounts that the caller may see."""

    HEADING = "Audit"
    NOUN = "entry"
    ROW_COMMANDS = ("open", "copy")
    NEWEST_FIRST = True
    FOLLOWS = ("hooks",)
    FILTER_TERMS = FILTER_TERMS
    FILTER_HINT = FILTER_HINT
    COMMAND_NAMES = ("open", "filter", "diagnose", "copy", "order")
    ALL_ACCOUNTS = ("diagnose",)
    COMMAND_LABELS = (
        relabel("open", "open", "Open the entry, with the values before and after"),
        relabel("diagnose", "verify", "Verify that the audit trail is intact",
                 Need.ADMINISTER),
        relabel("copy", "copy", "Copy the entry's number and hash, to keep elsewhere"),
    )  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        copies = self.on_row(lambda entry: _copy_known(self, entry))
        self.handlers.update(open=self.on_row(self._open), copy=copies, diagnose=self.diagnose)
        self._verifying = False

    def columns(self) -> Sequence[Column[AuditEntry]]:
        """Return the columns."""
        return audit_columns(self.shell.clock)

    def call_of(self, query: PageQuery) -> calls.Call[Page[AuditEntry]]:
        """Return the call that lists the entries that match the filter."""
        return calls.list_audit(**parse_filter(self.filter.text), **query)

    def check_filter(self, text: str) -> object:
        """Parse a filter of the trail."""
        return parse_filter(text)

    def empty_lines(self) -> tuple[StyledLine, ...]:
        """Return the text of an empty trail, or of a filter without matches."""
        if self.filter.text:
            return self.no_match("No entry matches the filter.", "all entries")
        return introduction(
            "No entries yet.",
            "Each change by a person is recorded here; entries cannot be removed.",
        )

    # -- commands

    def _open(self, entry: AuditEntry) -> None:
        self.app.push_screen(AuditEntryScreen(entry))

    async def diagnose(self) -> None:
        """Verify the whole trail, one part per call; Esc stops the verification."""
        self._verifying, entries, after = True, 0, 0
        try:
            while self._verifying:
                back = self.shell.key("back")
                self.notice(f"{entries:,} entries checked so far; {back} stops")
                check = await self.send(calls.verify_audit(after))
                entries += check.entries
                if check.next is None:
                    text, tone = checked_words(check, entries)
                    severity: Severity = "bad" if tone == "bad" else "good"
                    self.notice(text, severity)
                    return
                after = check.next
            self.notice(f"stopped after {entries:,} entries; these are intact", "warn")
        finally:
            self._verifying = False

    def back(self) -> None:
        """Stop a verification in progress; else clear the filter; else close the screen."""
        if self._verifying:
            self._verifying = False
        else:
            super().back()


class AuditEntryScreen(ConsoleScreen):
    """One audit entry, with the values before and after as a diff."""

    HEADING = "Audit entry"
    TOP_SCREEN = "Audit"
    COMMAND_NAMES = ("copy", "back")
    COMMAND_LABELS = (relabel("copy", "copy", "Copy number and hash, to keep elsewhere"),)
    DEFAULT_CSS = "AuditEntryScreen VerticalScroll { height: 1fr; padding: 1 0 0 0; }"

    def __init__(self, entry: AuditEntry) -> None:
        super().__init__()
        self.handlers.update(copy=self.copy)
        self.entry = entry

    def heading(self) -> StyledLine:
        """Return the title with the number, action and target of the entry."""
        entry = self.entry
        text = f"  {entry.id}: {entry.action} {entry.target}"
        return ((f" {self.HEADING}", "strong"), (text, "plain"))

    def compose_body(self) -> ComposeResult:
        """Compose the lines of the entry in a scrollable container."""
        self._lines = Lines(hang=11, most=1_000, id="entry")
        self._lines.show(entry_lines(self.entry, self.shell.clock()))
        with VerticalScroll():
            yield self._lines

    def refresh_times(self) -> None:
        """Redraw the entry."""
        self._lines.show(entry_lines(self.entry, self.shell.clock()))

    async def copy(self) -> None:
        """Copy the number and hash of the entry."""
        await _copy_known(self, self.entry)


async def _copy_known(screen: ConsoleScreen, entry: AuditEntry) -> None:
    """Copy the number and hash of an entry, for `hooktui audit verify --known`."""
    what = f"number and hash of entry {entry.id}"
    await screen.copy_text(f"{entry.id}:{entry.hash}", what)
