"""The current account: its number and name, and cached data about its hooks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from time import monotonic
from typing import Any, Final

from textual.app import App
from textual.worker import Worker

from hooktui.console.shell.server_connection import ServerConnection
from hooktui.domain.errors import HooktuiError, NotFound
from hooktui.domain.wire.hooks import Hook

MAX_WANTED: Final = 200
"""Hooks whose names are loaded next: more than any terminal has rows; the newest ones stay."""

REDRAW_S: Final = 0.25
"""Minimum seconds between two redraws while names are loaded."""

RETRY_S: Final = 5
"""Seconds until names are loaded again after an error."""


class AccountView:
    """The current account; ``on_names`` is called after names of its hooks were loaded.

    Attributes:
        number: its id.
        name: its name; empty until the server has responded.
        hook_names: names of its hooks by id, as far as they are known.
        last_toggled: the hooks of the last enable or disable, each with its previous state.
    """

    def __init__(
        self,
        number: int,
        app: App[Any],
        connection: ServerConnection,
        on_names: Callable[[], None],
    ) -> None:
        self._app, self._connection, self._on_names = app, connection, on_names
        self.number = number
        self.name = ""
        self.hook_names: dict[int, str] = {}
        self.last_toggled: list[tuple[Hook, bool]] = []
        self._outdated: set[int] = set()
        self._wanted: dict[int, None] = {}  # in the order in which they were drawn
        self._loading = False
        self._not_before_s = 0.0

    def show(self, number: int, name: str) -> None:
        """Switch to another account and discard the cached data about hooks."""
        self.number, self.name = number, name
        self.hook_names.clear()
        self._outdated.clear()
        self._wanted.clear()
        self.last_toggled = []
        self._not_before_s = 0.0

    def name_of(self, hook: int) -> str:
        """Return the name of a hook that is drawn; load it soon if it is unknown or outdated."""
        if hook and (hook not in self.hook_names or hook in self._outdated):
            if hook not in self._wanted:
                self._wanted[hook] = None
                if len(self._wanted) > MAX_WANTED:
                    del self._wanted[next(iter(self._wanted))]
            if not self._loading and monotonic() >= self._not_before_s:
                self._loading = True
                _: Worker[None] = self._app.run_worker(self._load_names, name="names")
        return self.hook_names.get(hook, "")

    def add_names(self, names: Mapping[int, str]) -> bool:
        """Cache names of hooks; return whether any is new."""
        new = names.items() - self.hook_names.items()
        self.hook_names.update(new)
        self._outdated -= names.keys()
        return bool(new)

    def outdate_names(self, hooks: Iterable[int] | None) -> None:
        """Load the names of changed hooks again when they are drawn; None: of all hooks."""
        known = self.hook_names.keys()
        outdated = set(known) if hooks is None else known & hooks
        if outdated:
            self._outdated |= outdated
            self._on_names()

    async def _load_names(self) -> None:
        """Load the wanted names one by one, and redraw now and then."""
        from hooktui.client import calls

        drawn_at = monotonic()
        try:
            while self._wanted:
                hook = next(iter(self._wanted))
                try:
                    name = (await self._connection.send(calls.get_hook(hook))).name
                except NotFound:
                    name = self.hook_names.get(hook, "")
                except HooktuiError:
                    self._wanted.clear()  # a later redraw asks again
                    self._not_before_s = monotonic() + RETRY_S
                    return
                if hook in self._wanted:  # otherwise the account was switched
                    del self._wanted[hook]
                    self.add_names({hook: name})
                if not self._wanted or monotonic() - drawn_at > REDRAW_S:
                    drawn_at = monotonic()
                    self._on_names()
        finally:
            self._loading = False
