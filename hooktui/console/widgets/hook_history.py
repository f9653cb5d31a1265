"""The history of a hook: a list of what was done to it, and the entry under the cursor in full."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from textual.app import ComposeResult
from textual.containers import Vertical

from hooktui.console.hook_history import entry_sections, history_columns
from hooktui.console.signs import Signs
from hooktui.console.widgets.json_view import JsonView
from hooktui.console.widgets.painted import Pieces
from hooktui.console.widgets.window import PageSource
from hooktui.console.widgets.windowed_list import WindowedList
from hooktui.domain.errors import HooktuiError, NotAllowed
from hooktui.domain.wire.access import AuditEntry

_EMPTY: Final[tuple[Pieces, ...]] = (
    (("  Nothing was done to this hook that the audit trail tells of.", "plain"),),
)


class HookHistory(Vertical):
    """A list of entries of the audit trail above, the one under the cursor below."""

    DEFAULT_CSS = """
    HookHistory { height: 1fr; }
    HookHistory JsonView { height: 40%; padding: 0 1; background: $surface; }
    """

    def __init__(
        self,
        source: PageSource[AuditEntry],
        clock: Callable[[], int],
        signs: Signs,
        failed: Callable[[HooktuiError], None],
        *,
        id: str,  # noqa: A002 - Textual's word
    ) -> None:
        super().__init__(id=id)
        self._clock = clock
        self._failed = failed
        self.listing = WindowedList(
            history_columns(clock),
            source,
            lambda entry: entry.id,
            empty=_EMPTY,
            markable=False,
            signs=signs,
            id="entries",
        )
        self.entry = JsonView(id="entry")

    def compose(self) -> ComposeResult:
        """The list above the entry."""
        yield self.listing
        yield self.entry

    async def load(self) -> None:
        """Read what is seen (again)."""
        await (self.listing.reload() if self.listing.loaded else self.listing.load())

    def on_windowed_list_moved(self, message: WindowedList.Moved) -> None:
        """Show the entry under the cursor."""
        message.stop()
        row = self.listing.cursor_row
        self.entry.show([] if row is None else entry_sections(row, self._clock()))

    def on_windowed_list_opened(self, message: WindowedList.Opened) -> None:
        """Go to the entry, to scroll and copy in it; Tab leads back."""
        message.stop()
        self.entry.focus()

    def on_windowed_list_failed(self, message: WindowedList.Failed) -> None:
        """Say why there is no history."""
        message.stop()
        if isinstance(message.error, NotAllowed):
            self.listing.empty = (
                (("  You may not read the history of this hook.", "strong"),),
                (),
                ((f"  {message.error.detail}", "quiet"),),
            )
            self.listing.loaded = True
            self.listing.refresh()
        else:
            self._failed(message.error)
