"""One entry of the audit trail: who did it, from where, and what it changed."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import VerticalScroll

from hooktui.console.audit_words import entry_lines
from hooktui.console.base import HouseScreen
from hooktui.console.clipboard import copy
from hooktui.console.keys import in_words
from hooktui.console.widgets.lines import Lines
from hooktui.console.widgets.painted import Pieces
from hooktui.domain.wire.access import AuditEntry


class AuditEntryScreen(HouseScreen):
    """An entry, before and after as a difference."""

    PLACE = "Audit entry"
    VERBS: ClassVar[tuple[str, ...]] = ("copy", "back")
    OWN_WORDS = (in_words("copy", "copy", "Copy number and hash, to keep them elsewhere"),)
    DEFAULT_CSS = "AuditEntryScreen VerticalScroll { height: 1fr; padding: 1 0 0 0; }"

    def __init__(self, entry: AuditEntry) -> None:
        super().__init__()
        self.entry = entry

    def heading(self) -> tuple[Pieces, Pieces]:
        """Name the entry."""
        entry = self.entry
        said = f"  {entry.id}: {entry.action} {entry.target}"
        return ((f" {self.PLACE}", "strong"), (said, "plain")), self.house.places("Audit")

    def compose_body(self) -> ComposeResult:
        """The lines, scrolled where they are many."""
        with VerticalScroll():
            yield Lines(id="entry")

    def on_mount(self) -> None:
        """Fill in the lines."""
        super().on_mount()
        arrow = "->" if self.house.options.ascii else "→"
        lines = entry_lines(self.entry, self.house.clock(), arrow)
        self.query_one("#entry", Lines).show(lines)

    async def verb_copy(self) -> None:
        """Copy what `hooktui audit verify` compares with."""
        what = f"number and hash of entry {self.entry.id}"
        self.notice(await copy(self.app, f"{self.entry.id}:{self.entry.hash}", what), "good")
