"""The places that a digit leads to, from everywhere; one line for each of them."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from hooktui.console.base import HouseScreen


@dataclass(frozen=True, slots=True)
class Place:
    """A full screen of its own, not about one thing.

    Attributes:
        name: how code and the ``:`` line name it.
        key: the digit.
        label: for headings.
        help: a sentence for help and palette.
        screen: its class, as ``module:Class`` of `screens`; imported when somebody goes there.
    """

    name: str
    key: str
    label: str
    help: str
    screen: str

    @property
    def verb(self) -> str:
        """The verb that goes there."""
        return f"go_{self.name}"

    def screen_class(self) -> type[HouseScreen]:
        """Import the class of the screen."""
        module, _, name = self.screen.partition(":")
        found = getattr(import_module(f"hooktui.console.screens.{module}"), name)
        return cast("type[HouseScreen]", found)


PLACES: Final = (
    Place("hooks", "1", "hooks", "Go to the hooks", "hooks:HooksScreen"),
    Place("log", "2", "live log", "Go to the live log", "live_log:LiveLogScreen"),
    Place("events", "3", "events", "Go to the events that came in", "events:EventsScreen"),
    Place("engine", "4", "engine", "Go to the engine", "engine:EngineScreen"),
    Place("audit", "5", "audit", "Go to the audit trail", "audit:AuditScreen"),
    Place("tokens", "6", "tokens", "Go to the tokens", "tokens:TokensScreen"),
    Place("accounts", "7", "accounts", "Go to the accounts", "accounts:AccountsScreen"),
)
"""All of them, home first."""

BY_VERB: Final = {place.verb: place for place in PLACES}
