"""The account that is shown: its number and name, and what the console knows of its hooks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hooktui.console.shell.feed_changes import FeedChanges
from hooktui.console.shell.server_connection import ServerConnection
from hooktui.domain.errors import HooktuiError, NotFound
from hooktui.domain.wire.hooks import Hook

MAX_NAMES: Final = 20
"""Hooks whose names are read at once; the others follow with their next line of the log."""


class AccountView:
    """The account that is shown.

    Attributes:
        number: its id.
        name: its name; empty until the server has responded.
        hook_names: names of its hooks by id, as far as they were seen.
        last_toggled: the hooks that were enabled or disabled last, each with its state before.
    """

    def __init__(self, number: int, connection: ServerConnection) -> None:
        self._connection = connection
        self.number = number
        self.name = ""
        self.hook_names: dict[int, str] = {}
        self.last_toggled: list[tuple[Hook, bool]] = []

    def show(self, number: int, name: str) -> None:
        """Show another account; nothing that is known of hooks applies to it."""
        self.number, self.name = number, name
        self.hook_names.clear()
        self.last_toggled = []

    async def learn_names(self, changes: FeedChanges) -> bool:
        """Read the names of hooks that changed or are not known yet; return whether any is new.

        The list of hooks holds a few pages only, and the log may name any hook.
        """
        from hooktui.client import calls

        unknown = [hook for hook in changes.busy_hooks if hook not in self.hook_names]
        names = {}
        for hook in (*changes.hooks, *unknown)[:MAX_NAMES]:
            try:
                names[hook] = (await self._connection.send(calls.get_hook(hook))).name
            except NotFound:
                names[hook] = self.hook_names.get(hook, "")
            except HooktuiError:
                break  # the feed notices a lost server, and says so
        return self.add_names(names)

    def add_names(self, names: Mapping[int, str]) -> bool:
        """Remember names of hooks for the log; return whether any is new."""
        new = names.items() - self.hook_names.items()
        self.hook_names.update(new)
        return bool(new)
