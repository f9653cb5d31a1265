"""Screen of the replays of the account, newest first."""

from __future__ import annotations

from collections.abc import Sequence

from hooktui.client import calls
from hooktui.console.frame.frame_text import introduction
from hooktui.console.frame.list_screen import ListScreen
from hooktui.console.registry import relabel
from hooktui.console.replays.replay_actions import ReplayActions
from hooktui.console.replays.replay_screen import UNSEEN_S
from hooktui.console.replays.replay_text import may_have_changed, replay_columns
from hooktui.console.shell.change_feed import FeedChanges
from hooktui.console.widgets.page_window import PageQuery
from hooktui.console.widgets.styled import StyledLine
from hooktui.console.widgets.table import Column
from hooktui.domain.wire.pages import Page
from hooktui.domain.wire.replays import Replay


class ReplaysScreen(ListScreen[Replay]):
    """List of all replays of the account."""

    HEADING = "Replays"
    TOP_SCREEN = "Deliveries"
    NOUN = "replay"
    ROW_COMMANDS = ("open", "activate", "delete", "larger", "smaller", "copy")
    NEWEST_FIRST = True
    FOLLOWS = ("replays",)
    COMMAND_NAMES = (
        "open", "replay", "activate", "delete", "larger", "smaller", "copy", "order", "previous",
    )  # fmt: skip
    COMMAND_LABELS = (relabel("replay", "new", "Plan another replay"),)

    def __init__(self) -> None:
        super().__init__()
        opens = self.on_row(lambda replay: self.shell.navigation.open_replay(replay.id))
        self.handlers.update(open=opens, replay=self.replay, copy=self.copy)
        actions = ReplayActions(self, lambda: self.cursor_row, self._replay_changed)
        self.parts = (*self.parts, actions)
        self._others_changed = False  # deliveries or hooks changed since the last reload

    def _replay_changed(self, replay: Replay) -> None:
        """Show the new state at once, as the next key acts on it, and reload the list soon."""
        self.listing.put(replay)
        self.read_soon()

    def begin(self) -> None:
        """Set up the reloads of unfinished replays, and load the list."""
        super().begin()
        self.set_interval(UNSEEN_S, self._reload_unseen)

    def _reload_unseen(self) -> None:
        others_changed, rows = self._others_changed, self.listing.window.rows()
        unseen = {
            replay.id for replay in rows if may_have_changed(replay, others_changed=others_changed)
        }
        if unseen:
            self.add_changes(FeedChanges(replays=unseen))

    async def changed(self, changes: FeedChanges) -> None:
        """Reload the list when replays have changed."""
        self._others_changed |= bool(changes.deliveries or changes.hooks)
        if changes.replays or changes.everything:
            self._others_changed = False
        await super().changed(changes)

    def columns(self) -> Sequence[Column[Replay]]:
        """Return the columns."""
        return replay_columns(self.shell.glyphs, self.shell.clock)

    def call_of(self, query: PageQuery) -> calls.Call[Page[Replay]]:
        """Return the call that lists the replays."""
        return calls.list_replays(self.shell.account.number, **query)

    def empty_lines(self) -> tuple[StyledLine, ...]:
        """Return the text of the empty list: what a replay is, and how to start one."""
        return introduction(
            "No replays yet.",
            "A replay sends past events again, at a limited rate; live deliveries go",
            "first. It can be paused, and continues after a restart of the server.",
            "",
            (self.shell.key("replay"), "plans one; nothing is sent before you run it"),
        )
