"""The registry of commands and top screens: one key on every screen, and one meaning for each key.

Screens choose their commands by name; help, the line of keys, the palette, the ``:`` line and the
documentation read this table. Every binding has an id (``command.<name>``), so that a configuration
can remap it. A digit opens a top screen from everywhere.
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
    """What follows a command in the ``:`` line.

    Attributes:
        noun: what it is, such as ``a hook's number``.
        example: one of them; "" where the documentation names none.
        kind: how it is read: a number, the id of an object, a name that the console knows, or a
            filter.
        prefix: of an id, such as ``dlv``; such an id alone is a line, too.
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
class TopScreen:
    """A full screen of its own, not about one thing.

    Attributes:
        name: how code and the ``:`` line name it.
        key: the digit.
        label: for headings.
        help: a sentence for help and palette.
        screen: its class, as ``module:Class`` of the console; imported when it is opened first.
        filter: an example of what its list can be filtered by; "": it refuses every filter.
    """

    name: str
    key: str
    label: str
    help: str
    screen: str
    filter: str = ""

    @property
    def command(self) -> str:
        """The command that goes there."""
        return f"go_{self.name}"


TOP_SCREENS: Final = (
    TopScreen("hooks", "1", "hooks", "Go to the hooks", "hooks.hooks_screen:HooksScreen",
              filter="billing"),
    TopScreen("log", "2", "live log", "Go to the live log", "log.log_screen:LiveLogScreen",
              filter="status:failed"),
    TopScreen("events", "3", "events", "Go to the events that came in",
              "events.events_screen:EventsScreen", filter="event:job.*"),
    TopScreen("engine", "4", "engine", "Go to the engine", "engine.engine_screen:EngineScreen"),
    TopScreen("audit", "5", "audit", "Go to the audit trail", "access.audit_screen:AuditScreen",
              filter="user:ada"),
    TopScreen("tokens", "6", "tokens", "Go to the tokens", "access.tokens_screen:TokensScreen"),
    TopScreen("accounts", "7", "accounts", "Go to the accounts",
              "access.accounts_screen:AccountsScreen"),
    TopScreen("deliveries", "8", "deliveries", "Go to the deliveries of all hooks",
              "deliveries.deliveries_screen:DeliveriesScreen", filter="status:undelivered"),
    TopScreen("alerts", "9", "alerts", "Go to the alerts", "alerts.alerts_screen:AlertsScreen"),
)  # fmt: skip
"""All of them, home first."""


@dataclass(frozen=True, slots=True)
class Command:
    """Something that a key or the ``:`` line does.

    Attributes:
        name: identifies it in code, in ``[keys]`` and in the ``:`` line.
        keys: Textual's names of the keys, comma-separated; the first one is shown.
        label: one or two words for the line of keys.
        help: a sentence for the help.
        need: what the server asks of the caller's role.
        shown: how the key is written, where Textual's name of it is not.
        explains: whether a screen that lacks the command says so; the others just do nothing there.
        blocking: whether the next key waits for it, because it changes where keys go.
        argument: what the ``:`` line takes after it, if anything.
        screen: what it opens when it has an argument; written as in `TopScreen`.
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
        """How the ``:`` line names it."""
        return self.name.removeprefix("go_").replace("_", "-")

    @property
    def usage(self) -> str:
        """How it is written in the ``:`` line, with an example of its argument."""
        return self.word if self.argument is None else f"{self.word} {self.argument.example}"

    @property
    def id(self) -> str:
        """The id of the binding."""
        return f"command.{self.name}"

    @property
    def key(self) -> str:
        """How the (first) key is shown."""
        return self.shown or self.keys.partition(",")[0]


def _opening(top: TopScreen) -> Command:
    return Command(top.command, top.key, top.label, top.help, argument=_filter(top.filter))


KeyOf = Callable[[str], str]
"""Returns how the key of a command is shown, by the command's name."""

_READ, _OPERATE, _ADMIN = Need.READ, Need.OPERATE, Need.ADMINISTER

COMMANDS: Final = (
    Command("open", "enter", "open", "Open what is under the cursor", shown="Enter"),
    Command("back", "escape", "back", "Unmark, close, or go back", shown="Esc", explains=False),
    Command(
        "mark", "space", "mark", "Mark or unmark the line; tick a box in a form", shown="Space"
    ),
    Command("mark_all", "ctrl+a", "mark all", "Mark all loaded rows, then all rows", shown="^a"),
    Command("new", "n", "new", "New hook", _ADMIN),
    Command("edit", "e", "edit", "Edit the hook", _ADMIN),
    Command("delete", "d", "delete", "Delete the hook; asks first", _ADMIN),
    Command("activate", "a", "on/off", "Enable or disable the hook", _OPERATE),
    Command("undo", "u", "undo", "Undo the last enable or disable", _OPERATE),
    Command("ping", "p", "ping", "Send a test delivery and show the response", _OPERATE),
    Command("diagnose", "x", "diagnose", "Diagnose the receiver", _OPERATE),
    Command("secret", "s", "secret", "The hook's secret, and how to verify with it", _ADMIN),
    Command("reveal", "v", "reveal", "Show the secret for 30 seconds; audited", _ADMIN),
    Command("rotate", "t", "rotate", "Rotate the secret, or finish the rotation", _ADMIN),
    Command("resend", "r", "resend", "Send the delivery again", _OPERATE),
    Command("cancel", "c", "cancel", "Cancel the waiting delivery", _OPERATE),
    Command(
        "replay",
        "R",
        "replay",
        "Replay missed events; shows a plan first",
        _OPERATE,
        argument=Argument("a replay's id", "rpl_01JDG3R8Z4000", "id", "rpl", required=False),
        screen="replays.replay_screen:ReplayScreen",
    ),
    Command("acknowledge", "A", "acknowledge", "Acknowledge the alert", _OPERATE),
    Command("snooze", "Z", "snooze", "Snooze the alert for a while", _OPERATE),
    Command("emit", "E", "emit", "Send an event", Need.PRODUCE),
    Command("follow", "f", "follow", "Follow the log, or stop following"),
    Command("log_pane", "l", "log", "Show or hide the log pane"),
    Command("zoom", "z", "zoom", "Zoom the log pane, or back"),
    Command("larger", "plus", "larger", "Enlarge the log pane or the plots' time range", shown="+"),
    Command(
        "smaller", "minus", "smaller", "Shrink the log pane or the plots' time range", shown="-"
    ),
    Command(
        "filter",
        "slash",
        "filter",
        "Filter what is shown",
        shown="/",
        blocking=True,
        argument=_filter("status:failed"),
    ),
    Command("search", "ctrl+f", "search", "Search in this text or log", shown="^f", blocking=True),
    Command("match_before", "N", "match before", "Go to the previous match"),
    Command("sort", "o", "sort", "Sort by the next column"),
    Command("order", "O", "order", "Reverse the sort order"),
    Command("copy", "y", "copy", "Copy the thing under the cursor"),
    Command("copy_as", "Y", "copy as", "Copy as curl, verify or JSON"),
    Command("wrap", "w", "wrap", "Wrap long lines, or cut them"),
    Command("raw", "b", "raw/hex", "Show bodies as trees, as they were sent, or in hex"),
    Command("compare", "D", "compare", "Compare two attempts, or go back"),
    Command("previous", "left_square_bracket", "previous", "Previous attempt or tab", shown="["),
    Command("next", "right_square_bracket", "next", "Next attempt or tab", shown="]"),
    Command("save", "ctrl+s", "save", "Save", _ADMIN, shown="^s"),
    *(_opening(top) for top in TOP_SCREENS),
    Command("help", "question_mark", "help", "Show the keys of this screen", shown="?"),
    Command(
        "palette", "ctrl+p", "palette", "Find a screen, a hook, a command or a theme", shown="^p"
    ),
    Command("command", "colon", "command", "Type what to do: hook 12", shown=":", blocking=True),
    Command("reload", "ctrl+r", "reload", "Load what is shown again", shown="^r"),
    Command("quit", "q", "quit", "Quit; the server keeps delivering, only a demo ends"),
)
"""Every command of the console, in the order in which help lists them."""

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
"""The commands that only the ``:`` line has."""

MOVES: Final = (
    Command("up", "up,k", "up", "One line up", shown="Up k"),
    Command("down", "down,j", "down", "One line down", shown="Down j"),
    Command("page_up", "pageup", "page up", "One page up", shown="PgUp"),
    Command("page_down", "pagedown", "page down", "One page down", shown="PgDn"),
    Command("first", "home,g", "first", "To the first line", shown="Home g"),
    Command("last", "end,G", "last", "To the last line", shown="End G"),
)
"""What moves the cursor in every list; the lists themselves do it."""


def cursor_after(move: str, cursor: int, *, count: int, page: int) -> int:
    """Return the cursor after a move, in a list of so many lines that shows ``page`` of them."""
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
"""What every full screen offers besides its own commands."""


def relabel(name: str, label: str, words: str, need: Need | None = None) -> Command:
    """Return a command with the texts of one screen; ``need`` where that asks for another role.

    Raises:
        KeyError: there is no such command.
    """
    command = BY_NAME[name]
    return replace(command, label=label, help=words, need=command.need if need is None else need)


def bindings(*names: str) -> list[Binding]:
    """Return bindings of commands; the action is ``command('<name>')``, for the screen to dispatch.

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
