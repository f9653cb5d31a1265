"""The current account: its number and name, and cached data about its hooks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from hooktui.console.shell.server_connection import ServerConnection
from hooktui.domain.errors import HooktuiError, NotFound
from hooktui.domain.wire.hooks import Hook

MAX_NAMES: Final = 20
"""Hooks whose names are loaded at once; the others follow with their next line of the log."""


class AccountView:
    """The current account.

    Attributes:
        number: its id.
        name: its name; empty until the server has responded.
        hook_names: names of its hooks by id, as far as they are known.
        last_toggled: the hooks of the last enable or disable, each with its previous state.
    """

    def __init__(self, number: int, connection: ServerConnection) -> None:
        self._connection = connection
        self.number = number
        self.name = ""
        self.hook_names: dict[int, str] = {}
        self.last_toggled: list[tuple[Hook, bool]] = []

    def show(self, number: int, name: str) -> None:
        """Switch to another account and discard the cached data about hooks."""
        self.number, self.name = number, name
        self.hook_names.clear()
        self.last_toggled = []

    async def learn_names(self, changed: Iterable[int] = (), seen: Iterable[int] = ()) -> bool:
        """Load the names of changed hooks, and of seen ones if unknown; return whether one is new.

        The list of hooks holds only a few pages, but the log may contain any hook.
        """
        from hooktui.client import calls

        unknown = [hook for hook in seen if hook not in self.hook_names]
        names = {}
        for hook in (*changed, *unknown)[:MAX_NAMES]:
            try:
                names[hook] = (await self._connection.send(calls.get_hook(hook))).name
            except NotFound:
                names[hook] = self.hook_names.get(hook, "")
            except HooktuiError:
                break  # the feed detects and reports a lost connection
        return self.add_names(names)

    def add_names(self, names: Mapping[int, str]) -> bool:
        """Cache names of hooks for the log; return whether any is new."""
        new = names.items() - self.hook_names.items()
        self.hook_names.update(new)
        return bool(new)
