"""What the command line tells the console."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_ACCOUNT = 1
"""Every installation has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleOptions:
    """How to start: which server, account and role, and how to draw.

    Attributes:
        connect: URL of a remote server; None: the socket that the environment means.
        account: number of the account to show.
        role: role to lower oneself to, such as ``viewer``; None: whatever one is.
        no_mouse: leave the mouse to the terminal.
        theme: a theme's name; None: chosen by the terminal.
        ascii: draw ASCII signs only.
    """

    connect: str | None = None
    account: int = DEFAULT_ACCOUNT
    role: str | None = None
    no_mouse: bool = False
    theme: str | None = None
    ascii: bool = False
