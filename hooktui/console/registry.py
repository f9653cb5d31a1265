"""The registry of verbs and top screens: one key on every screen, and one meaning for each key.

Screens choose their verbs by name; help, the line of keys and the palette read this table. Every
binding has an id (``verb.<name>``), so that a configuration can remap it. A digit opens a top
screen from everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Final, cast

from textual.binding import Binding

from hooktui.domain.roles import Need

if TYPE_CHECKING:
    from hooktui.console.frame.screen import ConsoleScreen


@dataclass(frozen=True, slots=True)
class Place:
    """A full screen of its own, not about one thing.

    Attributes:
        name: how code and the ``:`` line name it.
        key: the digit.
        label: for headings.
        help: a sentence for help and palette.
        screen: its class, as ``module:Class`` of the console; imported when somebody goes there.
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

    def screen_class(self) -> type[ConsoleScreen]:
        """Import the class of the screen."""
        module, _, name = self.screen.partition(":")
        found = getattr(import_module(f"hooktui.console.{module}"), name)
        return cast("type[ConsoleScreen]", found)


PLACES: Final = (
    Place("hooks", "1", "hooks", "Go to the hooks", "hooks.hooks_screen:HooksScreen"),
    Place("log", "2", "live log", "Go to the live log", "log.log_screen:LiveLogScreen"),
    Place(
        "events",
        "3",
        "events",
        "Go to the events that came in",
        "events.events_screen:EventsScreen",
    ),
    Place("engine", "4", "engine", "Go to the engine", "engine.engine_screen:EngineScreen"),
    Place("audit", "5", "audit", "Go to the audit trail", "access.audit_screen:AuditScreen"),
    Place("tokens", "6", "tokens", "Go to the tokens", "access.tokens_screen:TokensScreen"),
    Place(
        "accounts", "7", "accounts", "Go to the accounts", "access.accounts_screen:AccountsScreen"
    ),
)
"""All of them, home first."""

BY_VERB: Final = {place.verb: place for place in PLACES}


@dataclass(frozen=True, slots=True)
class Verb:
    """Something that a key does.

    Attributes:
        name: how code names it; a screen does it in its method ``verb_<name>``.
        keys: Textual's names of the keys, comma-separated; the first one is shown.
        label: one or two words for the line of keys.
        help: a sentence for the help.
        need: what the server asks of the caller's role.
        shown: how the key is written, where Textual's name of it is not.
        tells: whether a screen that lacks the verb says so; the others just do nothing there.
        at_once: whether the next key waits for it, because it changes where keys go.
    """

    name: str
    keys: str
    label: str
    help: str
    need: Need = Need.READ
    shown: str = ""
    tells: bool = True
    at_once: bool = False

    @property
    def id(self) -> str:
        """The id of the binding."""
        return f"verb.{self.name}"

    @property
    def key(self) -> str:
        """How the (first) key is shown."""
        return self.shown or self.keys.partition(",")[0]


KeyOf = Callable[[str], str]
"""Returns how the key of a verb is shown, by the verb's name: that of the table, or the user's."""

_READ, _OPERATE, _ADMIN = Need.READ, Need.OPERATE, Need.ADMINISTER

VERBS: Final = (
    Verb("open", "enter", "open", "Open what is under the cursor", shown="Enter"),
    Verb("back", "escape", "back", "Unmark, close, or go back", shown="Esc", tells=False),
    Verb("mark", "space", "mark", "Mark or unmark the line; tick a box in a form", shown="Space"),
    Verb(
        "mark_all",
        "ctrl+a",
        "mark all",
        "Mark all loaded rows, then all rows",
        shown="^a",
    ),
    Verb("new", "n", "new", "New hook", _ADMIN),
    Verb("edit", "e", "edit", "Edit the hook", _ADMIN),
    Verb("delete", "d", "delete", "Delete the hook; asks first", _ADMIN),
    Verb("activate", "a", "on/off", "Activate or deactivate the hook", _OPERATE),
    Verb("undo", "u", "undo", "Undo the last activate or deactivate", _OPERATE),
    Verb("ping", "p", "ping", "Send a test delivery and show the answer", _OPERATE),
    Verb("diagnose", "x", "diagnose", "Say what is wrong with the receiver", _OPERATE),
    Verb("secret", "s", "secret", "The hook's secret, and how to verify with it", _ADMIN),
    Verb("reveal", "v", "reveal", "Show the secret for 30 seconds; audited", _ADMIN),
    Verb("rotate", "t", "rotate", "Rotate the secret, or finish the rotation", _ADMIN),
    Verb("resend", "r", "resend", "Send the delivery again", _OPERATE),
    Verb("cancel", "c", "cancel", "Cancel the waiting delivery", _OPERATE),
    Verb("emit", "E", "emit", "Send an event", Need.PRODUCE),
    Verb("follow", "f", "follow", "Follow the log, or stop following"),
    Verb("log_pane", "l", "log", "Show or hide the log pane"),
    Verb("zoom", "z", "zoom", "Zoom the log pane, or back"),
    Verb("larger", "plus", "larger", "A larger log pane, a longer time of plots", shown="+"),
    Verb("smaller", "minus", "smaller", "A smaller log pane, a shorter time of plots", shown="-"),
    Verb("filter", "slash", "filter", "Filter what is shown", shown="/", at_once=True),
    Verb("search", "ctrl+f", "search", "Search in this text or log", shown="^f", at_once=True),
    Verb("match_before", "N", "match before", "Go to the match before this one"),
    Verb("sort", "o", "sort", "Sort by the next column"),
    Verb("order", "O", "order", "Turn the order round"),
    Verb("copy", "y", "copy", "Copy the thing under the cursor"),
    Verb("copy_as", "Y", "copy as", "Copy as curl, verify or JSON"),
    Verb("wrap", "w", "wrap", "Wrap long lines, or cut them"),
    Verb("raw", "b", "raw/hex", "Show bodies as trees, as they were sent, or in hex"),
    Verb("compare", "D", "compare", "What differs between two attempts, or back"),
    Verb("previous", "left_square_bracket", "previous", "Previous attempt or tab", shown="["),
    Verb("next", "right_square_bracket", "next", "Next attempt or tab", shown="]"),
    Verb("save", "ctrl+s", "save", "Save", _ADMIN, shown="^s"),
    *(Verb(place.verb, place.key, place.label, place.help) for place in PLACES),
    Verb("help", "question_mark", "help", "The keys of this place", shown="?"),
    Verb("palette", "ctrl+p", "palette", "Find a screen, a hook, a verb or a theme", shown="^p"),
    Verb("command", "colon", "command", "Type what to do: hook 12", shown=":", at_once=True),
    Verb("reload", "ctrl+r", "reload", "Load what is shown again", shown="^r"),
    Verb("quit", "q", "quit", "Quit; the server goes on delivering, only a demo ends"),
)
"""Every verb of the console, in the order in which help lists them."""

MOVES: Final = (
    Verb("up", "up,k", "up", "One line up", shown="Up k"),
    Verb("down", "down,j", "down", "One line down", shown="Down j"),
    Verb("page_up", "pageup", "page up", "One page up", shown="PgUp"),
    Verb("page_down", "pagedown", "page down", "One page down", shown="PgDn"),
    Verb("first", "home,g", "first", "To the first line", shown="Home g"),
    Verb("last", "end,G", "last", "To the last line", shown="End G"),
)
"""What moves the cursor in every list; the lists themselves do it."""

BY_NAME: Final = {verb.name: verb for verb in (*VERBS, *MOVES)}

EVERYWHERE: Final = (
    *(place.verb for place in PLACES), "help", "palette", "command", "reload", "back", "quit",
)  # fmt: skip
"""What every full screen offers besides its own verbs."""


def in_words(name: str, label: str, words: str, need: Need | None = None) -> Verb:
    """Return a verb of the table as one place calls it; ``need`` where that asks for another role.

    Raises:
        KeyError: there is no such verb.
    """
    verb = BY_NAME[name]
    return replace(verb, label=label, help=words, need=verb.need if need is None else need)


def bindings(*names: str) -> list[Binding]:
    """Return bindings of verbs whose action is ``verb('<name>')``, for the screen to dispatch.

    Raises:
        KeyError: there is no such verb.
    """
    return [_binding(BY_NAME[name], f"verb('{name}')") for name in names]


def move_bindings() -> list[Binding]:
    """Return the bindings of a list: moves (action ``move('<name>')``) and Enter."""
    moves = [_binding(verb, f"move('{verb.name}')") for verb in MOVES]
    return [*moves, _binding(BY_NAME["open"], "open")]


def _binding(verb: Verb, action: str) -> Binding:
    return Binding(verb.keys, action, verb.label, show=False, key_display=verb.key, id=verb.id)
