"""The options of all commands, at any place of the command line."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from hooktui.cli.exit_codes import UsageError
from hooktui.domain.roles import Role, is_lower, not_here
from hooktui.domain.setting import whole_number

HELP: Final = (
    "Options of every command: --account N, --connect URL, --json, --quiet,\n"
    "--no-color, --help, --role viewer|producer|operator|admin (a lower one)."
)

ROLES: Final = ("viewer", "producer", "operator", "admin")
_FLAGS: Final = ("--json", "--quiet", "--no-color")
_VALUES: Final = ("--account", "--connect", "--role")
# Here --role is what the new token may do.
_OWN_ROLE: Final = ["tokens", "create"]

ALLOWED: Final = frozenset({
    "accounts", "audit", "completion", "console", "deliveries", "emit", "events", "hooks", "log",
    "alerts", "pause", "purge", "replay", "resume", "status", "tokens", "undelivered", "verify",
})  # fmt: skip
"""The commands of restricted mode: they start no program, touch no file and go nowhere else."""


@dataclass(frozen=True, slots=True)
class GlobalOptions:
    """The global options; None: not given.

    Attributes:
        account: the account that the command is about.
        connect: where the server is.
        role: what the caller's role is lowered to.
        json: write JSON.
        quiet: no hints and no progress.
        no_color: no colours, not even on a terminal.
    """

    account: int | None = None
    connect: str | None = None
    role: str | None = None
    json: bool = False
    quiet: bool = False
    no_color: bool = False


def split_options(arguments: Sequence[str]) -> tuple[GlobalOptions, list[str]]:
    """Return the global options, and the other arguments in their order.

    Arguments after ``--`` are not parsed.

    Raises:
        UsageError: a value is missing or wrong.
    """
    options = GlobalOptions()
    rest: list[str] = []
    waiting = list(arguments)
    while waiting:
        argument = waiting.pop(0)
        name, equals, value = argument.partition("=")
        if argument == "--":
            return options, [*rest, argument, *waiting]
        if argument in _FLAGS:
            flag: dict[str, Any] = {argument.removeprefix("--").replace("-", "_"): True}
            options = replace(options, **flag)
        elif name in _VALUES and not (name == "--role" and rest[:2] == _OWN_ROLE):
            if not equals and not waiting:
                raise UsageError(f"{name} needs a value")
            options = _with_value(options, name, value if equals else waiting.pop(0))
        else:
            rest.append(argument)
    return options, rest


def _with_value(options: GlobalOptions, name: str, value: str) -> GlobalOptions:
    if name == "--connect":
        if not value:  # such as an unset variable: it must not mean the server of this machine
            raise UsageError("--connect needs a value")
        return replace(options, connect=value)
    if name == "--role":
        if value not in ROLES:
            raise UsageError(f"{value[:40]!r} is not a role; --role takes {', '.join(ROLES)}")
        # The first one may be an admin's, in a forced command: what comes behind it only lowers.
        if options.role is not None and not is_lower(Role(value), Role(options.role)):
            raise UsageError(f"--role was {options.role} already; a second one may only lower it")
        return replace(options, role=value)
    try:
        number = whole_number(value)
    except ValueError:
        number = 0
    if number < 1:
        raise UsageError(
            f"{value[:40]!r} is not the number of an account; see: hooktui accounts list"
        )
    return replace(options, account=number)


def restrict(options: GlobalOptions, arguments: Sequence[str]) -> None:
    """Refuse what restricted mode does not allow; keep ctrl+z from stopping the process.

    The first of the arguments is the command, or an option for help.

    Raises:
        NotAllowed: the command or the server is not allowed.
    """
    # A stopped process would leave its terminal to the program that started it.
    signal.signal(signal.SIGTSTP, signal.SIG_IGN)
    if options.connect is not None:
        raise not_here("--connect")
    command = arguments[0]
    if not command.startswith("-") and command not in ALLOWED:
        raise not_here(f"hooktui {command[:40]}")
