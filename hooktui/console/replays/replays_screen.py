"""Screen of the replays of the account, newest first."""

from __future__ import annotations

from collections.abc import Sequence

from hooktui.client import calls
from hooktui.console.frame.frame_text import introduction
from hooktui.console.frame.list_screen import ListScreen
from hooktui.console.registry import relabel
from hooktui.console.replays.replay_actions import ReplayActions
from hooktui.console.replays.replay_text import replay_columns
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
        actions = ReplayActions(self, lambda: self.cursor_row, lambda _: self.read_soon())
        self.parts = (*self.parts, actions)

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
