"""Registry of commands and top screens: one key per command and one meaning per key everywhere.

Screens select their commands by name; help, the key line, the palette, the ``:`` line and the
documentation use this table. Every binding has an id (``command.<name>``), so that a configuration
can remap it. A digit opens a top screen from any screen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Literal

from textual.binding import Binding

from hooktui.domain.ids import Prefix
from hooktui.domain.roles import Need


@dataclass(frozen=True, slots=True)
class Argument:
    """The argument of a command in the ``:`` line.

    Attributes:
        noun: its noun for messages, such as ``a hook's number``.
        example: an example; "" if the documentation shows none.
        kind: how it is parsed: as a number, the id of an object, a name that the console knows, or
            a filter.
        prefix: the prefix of an id, such as ``dlv``; such an id is also a valid line by itself.
        required: whether the command needs it.
    """

    noun: str
    example: str
    kind: Literal["number", "id", "name", "filter"]
    prefix: Prefix | None = None
    required: bool = True


def _filter(example: str) -> Argument:
    return Argument("a filter", example, "filter", required=False)


@dataclass(frozen=True, slots=True)
class ScreenTab:
    """A tab of a top screen: its name, and its screen as ``module:Class`` of the console."""

    name: str
    screen: str


@dataclass(frozen=True, slots=True)
class TopScreen:
    """A full screen that is not about a single object.

    Attributes:
        name: its name in code and in the ``:`` line.
        key: the digit that opens it.
        label: its label in headings.
        help: a description for help and palette.
        screen: its class, as ``module:Class`` of the console; imported when it is first opened.
        filter: an example of a filter of its list; "" if it accepts no filter.
        tabs: its tabs, each a screen of its own; the first one is ``screen``.
    """

    name: str
    key: str
    label: str
    help: str
    screen: str
    filter: str = ""
    tabs: tuple[ScreenTab, ...] = ()

    @property
    def command(self) -> str:
        """The name of the command that opens it."""
        return f"go_{self.name}"


TOP_SCREENS: Final = (
    TopScreen("hooks", "1", "hooks", "Go to the hooks", "hooks.hooks_screen:HooksScreen",
              filter="billing"),
    TopScreen("log", "2", "live log", "Go to the live log", "log.log_screen:LiveLogScreen",
              filter="status:failed"),
    TopScreen("events", "3", "events", "Go to the events",
              "events.events_screen:EventsScreen", filter="event:job.*"),
    TopScreen("engine", "4", "engine", "Go to the engine", "engine.engine_screen:EngineScreen"),
    TopScreen("audit", "5", "audit", "Go to the audit trail", "access.audit_screen:AuditScreen",
              filter="user:ada"),
    TopScreen("tokens", "6", "tokens", "Go to the tokens", "access.tokens_screen:TokensScreen"),
    TopScreen("accounts", "7", "accounts", "Go to the accounts",
              "access.accounts_screen:AccountsScreen"),
    TopScreen("deliveries", "8", "deliveries", "Go to the deliveries of all hooks",
              "deliveries.deliveries_screen:DeliveriesScreen", filter="status:undelivered",
              tabs=(
                  ScreenTab("All", "deliveries.deliveries_screen:DeliveriesScreen"),
                  ScreenTab("Undelivered", "deliveries.undelivered_screen:UndeliveredScreen"),
                  ScreenTab("Replays", "replays.replays_screen:ReplaysScreen"),
              )),
    TopScreen("alerts", "9", "alerts", "Go to the alerts", "alerts.alerts_screen:AlertsScreen",
              tabs=(
                  ScreenTab("Unresolved", "alerts.alerts_screen:AlertsScreen"),
                  ScreenTab("Resolved", "alerts.alerts_screen:ResolvedAlertsScreen"),
              )),
)  # fmt: skip
"""All top screens, the home screen first."""


def top_screen_of(name: str) -> TopScreen | None:
    """Return the top screen that a screen is, or is a tab of, by the name of its class."""
    for top in TOP_SCREENS:
        paths = (top.screen, *(tab.screen for tab in top.tabs))
        if any(path.endswith(f":{name}") for path in paths):
            return top
    return None


@dataclass(frozen=True, slots=True)
class Command:
    """A command that a key or the ``:`` line runs.

    Attributes:
        name: its name in code, in ``[keys]`` and in the ``:`` line.
        keys: Textual's names of the keys, comma-separated; the first one is displayed.
        label: one or two words for the key line.
        help: a description for the help.
        need: what the command requires of the caller's role.
        shown: the display name of the key, if it differs from Textual's name.
        explains: whether its key shows a notice on screens without it; otherwise it does nothing.
        blocking: whether the next key waits for it, because it moves the focus.
        argument: the argument in the ``:`` line, if it takes one.
        screen: the screen that it opens from the ``:`` line; written as in `TopScreen`.
    """

    name: str
    keys: str
    label: str
    help: str
    need: Need = Need.READ
    shown: str = ""
    explains: bool = True
    blocking: bool = False
    argument: Argument | None = None
    screen: str = ""

    @property
    def word(self) -> str:
        """Its name in the ``:`` line."""
        return self.name.removeprefix("go_").replace("_", "-")

    @property
    def usage(self) -> str:
        """Its usage in the ``:`` line, with an example of the argument."""
        return self.word if self.argument is None else f"{self.word} {self.argument.example}"

    @property
    def id(self) -> str:
        """The id of the binding."""
        return f"command.{self.name}"

    @property
    def key(self) -> str:
        """The (first) key as displayed."""
        return self.shown or self.keys.partition(",")[0]


def _opening(top: TopScreen) -> Command:
    return Command(top.command, top.key, top.label, top.help, argument=_filter(top.filter))


KeyOf = Callable[[str], str]
"""Function that returns the key of a command as displayed, given the command's name."""

_OPERATE, _ADMIN = Need.OPERATE, Need.ADMINISTER

COMMANDS: Final = (
    Command("open", "enter", "open", "Open the line under the cursor", shown="Enter"),
    Command("back", "escape", "back", "Unmark, close, or go back", shown="Esc", explains=False),
    Command("mark", "space", "mark", "Mark or unmark the line; tick a box in a form",
            shown="Space"),
    Command("mark_all", "ctrl+a", "mark all", "Mark all loaded rows, then all rows", shown="^a"),
    Command("new", "n", "new", "New hook", _ADMIN),
    Command("edit", "e", "edit", "Edit the hook", _ADMIN),
    Command("delete", "d", "delete", "Delete the hook; asks first", _ADMIN),
    Command("activate", "a", "on/off", "Enable the hook, or disable it: it skips new events",
            _OPERATE),
    Command("undo", "u", "undo", "Undo the last enable or disable", _OPERATE),
    Command("ping", "p", "ping", "Send a test delivery and show the response", _OPERATE),
    Command("diagnose", "x", "diagnose", "Diagnose the receiver", _OPERATE),
    Command("secret", "s", "secret", "Open the hook's secrets, with code to verify", _ADMIN),
    Command("reveal", "v", "reveal", "Show the secret for 30 seconds; audited", _ADMIN),
    Command("rotate", "t", "rotate", "Rotate the secret, or finish the rotation", _ADMIN),
    Command("resend", "r", "resend", "Send the delivery again", _OPERATE),
    Command("cancel", "c", "cancel", "Cancel the waiting delivery", _OPERATE),
    Command("replay", "R", "replay", "Plan a replay; with an id, open that one",
            argument=Argument("a replay's id", "rpl_01JDG3R8Z4000", "id", "rpl", required=False),
            screen="replays.replay_screen:ReplayScreen"),
    Command("acknowledge", "A", "acknowledge", "Acknowledge the alert", _OPERATE),
    Command("snooze", "Z", "snooze", "Snooze the alert for a while", _OPERATE),
    Command("emit", "E", "emit", "Send an event", Need.PRODUCE),
    Command("follow", "f", "follow", "Follow the log, or stop following"),
    Command("log_pane", "l", "log", "Show or hide the log pane"),
    Command("zoom", "z", "zoom", "Zoom the log pane, or back"),
    Command("larger", "plus", "larger", "Enlarge the log pane or the plots' time range", shown="+"),
    Command("smaller", "minus", "smaller", "Shrink the log pane or the plots' time range",
            shown="-"),
    Command("filter", "slash", "filter", "Filter the list or log", shown="/", blocking=True,
            argument=_filter("status:failed")),
    Command("search", "ctrl+f", "search", "Search in this text or log", shown="^f", blocking=True),
    Command("match_before", "N", "previous match", "Go to the previous match"),
    Command("sort", "o", "sort", "Sort by the next column"),
    Command("order", "O", "order", "Reverse the sort order"),
    Command("copy", "y", "copy", "Copy the item under the cursor"),
    Command("copy_as", "Y", "copy as", "Copy as curl, verify or JSON"),
    Command("wrap", "w", "wrap", "Wrap long lines, or cut them"),
    Command("raw", "b", "raw/hex", "Show bodies as trees, as they were sent, or in hex"),
    Command("compare", "D", "compare", "Compare two attempts, or go back"),
    Command("previous", "left_square_bracket", "previous", "Previous attempt or tab", shown="["),
    Command("next", "right_square_bracket", "next", "Next attempt or tab", shown="]"),
    Command("save", "ctrl+s", "save", "Save", _ADMIN, shown="^s"),
    *(_opening(top) for top in TOP_SCREENS),
    Command("help", "question_mark,f1", "help", "Show the keys of this screen", shown="?"),
    Command("palette", "ctrl+p", "palette", "Search screens, hooks, commands and themes",
            shown="^p"),
    Command("command", "colon", "command", "Type a command: hook 12", shown=":", blocking=True),
    Command("reload", "ctrl+r", "reload", "Reload the screen", shown="^r"),
    Command("quit", "q", "quit", "Quit; the server keeps delivering, only a demo ends"),
)  # fmt: skip
"""All commands of the console, in the order of the help."""

LINE_COMMANDS: Final = (
    Command("hook", "", "hook", "Open a hook",
            argument=Argument("a hook's number", "12", "number"),
            screen="hooks.hook_screen:HookScreen"),
    Command("delivery", "", "delivery", "Open a delivery",
            argument=Argument("a delivery's id", "dlv_01JDG3R8Z4000", "id", "dlv"),
            screen="deliveries.delivery_screen:DeliveryScreen"),
    Command("event", "", "event", "Open an event",
            argument=Argument("an event's id", "evt_01JDG3R8Z4000", "id", "evt"),
            screen="events.event_screen:EventScreen"),
    Command("undelivered", "", "undelivered", "Go to the undelivered events",
            screen="deliveries.undelivered_screen:UndeliveredScreen"),
    Command("replays", "", "replays", "Go to the replays",
            screen="replays.replays_screen:ReplaysScreen"),
    Command("account", "", "account", "Show another account",
            argument=Argument("an account's number", "2", "number")),
    Command("theme", "", "theme", "Use another theme",
            argument=Argument("a theme's name", "nord", "name")),
)  # fmt: skip
"""Commands that exist only in the ``:`` line."""

MOVES: Final = (
    Command("up", "up,k", "up", "One line up", shown="Up k"),
    Command("down", "down,j", "down", "One line down", shown="Down j"),
    Command("page_up", "pageup", "page up", "One page up", shown="PgUp"),
    Command("page_down", "pagedown", "page down", "One page down", shown="PgDn"),
    Command("first", "home,g", "first", "To the first line", shown="Home g"),
    Command("last", "end,G", "last", "To the last line", shown="End G"),
)
"""Cursor moves of every list, which the lists themselves handle."""


def cursor_after(move: str, cursor: int, *, count: int, page: int) -> int:
    """Return the cursor after a move in a list of ``count`` lines, ``page`` of them visible."""
    last = max(0, count - 1)
    target = {
        "up": cursor - 1,
        "down": cursor + 1,
        "page_up": cursor - page,
        "page_down": cursor + page,
        "first": 0,
        "last": last,
    }[move]
    return max(0, min(last, target))


BY_NAME: Final = {command.name: command for command in (*COMMANDS, *MOVES)}

EVERYWHERE: Final = (
    *(top.command for top in TOP_SCREENS), "help", "palette", "command", "reload", "back", "quit",
)  # fmt: skip
"""Commands of every full screen, in addition to its own."""


def relabel(name: str, label: str, words: str, need: Need | None = None) -> Command:
    """Return a command with the texts of one screen; ``need`` overrides the required role.

    Raises:
        KeyError: there is no such command.
    """
    command = BY_NAME[name]
    return replace(command, label=label, help=words, need=command.need if need is None else need)


def bindings(*names: str) -> list[Binding]:
    """Return the bindings of commands; the screen dispatches the action ``command('<name>')``.

    Raises:
        KeyError: there is no such command.
    """
    return [_binding(BY_NAME[name], f"command('{name}')") for name in names]


def move_bindings() -> list[Binding]:
    """Return the bindings of a list: moves (action ``move('<name>')``) and Enter."""
    moves = [_binding(command, f"move('{command.name}')") for command in MOVES]
    return [*moves, _binding(BY_NAME["open"], "open")]


def _binding(command: Command, action: str) -> Binding:
    return Binding(
        command.keys, action, command.label, show=False, key_display=command.key, id=command.id
    )
