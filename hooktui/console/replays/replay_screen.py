"""Screen of one replay: progress, results and hooks."""

from __future__ import annotations

from typing import Final

from textual.app import ComposeResult

from hooktui.client import calls
from hooktui.console.frame.parts import acts_on
from hooktui.console.frame.screen import ConsoleScreen
from hooktui.console.registry import relabel
from hooktui.console.replays.replay_actions import ReplayActions
from hooktui.console.replays.replay_text import hook_columns, may_have_changed, progress_lines
from hooktui.console.shell.change_feed import FeedChanges
from hooktui.console.widgets.chrome import Lines
from hooktui.console.widgets.page_window import OnePage
from hooktui.console.widgets.styled import StyledLine
from hooktui.console.widgets.windowed_list import WindowedList
from hooktui.domain.errors import HooktuiError, NotFound
from hooktui.domain.wire.replays import Replay, ReplayHook

UNSEEN_S: Final = 2.0
"""Minimum number of seconds between two reloads after changes that have no feed item of a replay:
what it waits for, and the results of its deliveries after it was paused or has ended."""


class ReplayScreen(ConsoleScreen):
    """Screen of the replay with an id."""

    HEADING = "Replay"
    TOP_SCREEN = "Deliveries"
    COMMAND_NAMES = (
        "open", "filter", "activate", "delete", "larger", "smaller", "copy",
    )  # fmt: skip
    COMMAND_LABELS = (
        relabel("open", "hook", "Open the hook"),
        relabel("filter", "deliveries", "List the deliveries of the replay"),
    )
    DEFAULT_CSS = """
    ReplayScreen #head { margin: 1 0; }
    """

    def __init__(self, replay_id: str) -> None:
        super().__init__()
        self.handlers.update(
            open=acts_on(lambda: self._hooks.cursor_row, self._open),
            copy=self.copy,
            filter=self.deliveries,
        )
        self.replay_id = replay_id
        self.replay: Replay | None = None
        self._others_changed = False  # deliveries or hooks changed since the last reload
        self.actions = ReplayActions(self, lambda: self.replay, self._show)
        self.parts = (self.actions,)

    def heading(self) -> StyledLine:
        """Return the heading: the replay, its state and its creator."""
        replay = self.replay
        about = "" if replay is None else f"  {replay.state}, created by {replay.created_by}"
        return ((f" Replay {self.replay_id}", "strong"), (about, "plain"))

    def compose_body(self) -> ComposeResult:
        """Compose the summary above the list of hooks."""
        yield Lines(id="head")
        self._hooks = WindowedList(
            hook_columns(lambda: self.replay),
            OnePage(lambda: () if self.replay is None else self.replay.hooks),
            lambda hook: hook.hook,
            markable=False,
            id="hooks",
        )
        yield self._hooks

    def begin(self) -> None:
        """Set up the reloads of an unfinished replay, and load it."""
        super().begin()
        self._hooks.focus()
        self.run_worker(self._read(), name="replay")
        self.set_interval(UNSEEN_S, self._reload_unseen)

    def _reload_unseen(self) -> None:
        replay = self.replay
        if replay and may_have_changed(replay, others_changed=self._others_changed):
            self.add_changes(FeedChanges(replays={replay.id}))

    async def _read(self) -> None:
        try:
            replay = await self.send(calls.get_replay(self.replay_id))
        except HooktuiError as error:
            if self.replay is None and isinstance(error, NotFound):
                self.leave_missing(error)
            else:
                self.show_load_error(error)
            return
        self._show(replay)

    def _show(self, replay: Replay) -> None:
        self.replay = replay
        if self.query("#head"):
            self.refresh_times()
            self.refresh_frame()
            self.run_latest(self._hooks.reload, "hooks")

    def refresh_times(self) -> None:
        """Redraw the summary."""
        if self.replay is not None:
            shell = self.shell
            lines = progress_lines(self.replay, shell.glyphs, shell.clock(), shell.status.latest)
            self.query_one("#head", Lines).show(lines)

    async def changed(self, changes: FeedChanges) -> None:
        """Reload the replay when it has changed."""
        self._others_changed |= bool(changes.deliveries or changes.hooks)
        if self.replay_id in changes.replays or changes.everything:
            self._others_changed = False
            await self._read()

    # -- commands

    def own_disabled_reason(self, name: str) -> str | None:
        """Return that the replay is not loaded, or that there is no hook to open."""
        if self.replay is None and name in self.actions.handlers:
            return f"the replay is not loaded yet; {self.shell.key('reload')} loads it again"
        if name == "open" and self._hooks.cursor_row is None:
            return "there is no hook under the cursor"
        return None

    def _open(self, hook: ReplayHook) -> None:
        self.shell.navigation.open_hook(hook.hook)

    def deliveries(self) -> None:
        """List the deliveries of the replay."""
        self.shell.navigation.open_deliveries(f"replay:{self.replay_id}")

    async def copy(self) -> None:
        """Copy the replay's id."""
        await self.copy_text(self.replay_id, "the replay's id")
