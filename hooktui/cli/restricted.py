"""What of the command line is left in restricted mode: only what talks to the one server."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from typing import Final

from hooktui.cli.options import GlobalOptions
from hooktui.domain.roles import not_here

ALLOWED: Final = frozenset({
    "accounts", "audit", "completion", "console", "deliveries", "emit", "events", "hooks", "log",
    "pause", "purge", "resume", "status", "tokens", "verify",
})  # fmt: skip
"""Commands that start no program, touch no file and go nowhere else. A new one is not among them
until somebody has looked at it."""


def confine(options: GlobalOptions, arguments: Sequence[str]) -> None:
    """Refuse what a confined user must not do, and what stops the process under them.

    Raises:
        NotAllowed: the command, or where it goes to, is not for them.
    """
    # A stopped process would give its terminal back to whatever started it.
    signal.signal(signal.SIGTSTP, signal.SIG_IGN)
    if options.connect is not None:
        raise not_here("--connect")
    command = arguments[0] if arguments else ""
    if not command.startswith("-") and command not in ALLOWED:
        raise not_here(f"hooktui {command[:40]}")
