"""``hooktui`` without a command: the console."""

from __future__ import annotations

from hooktui.cli.context import Context
from hooktui.cli.open_console import open_console


def console(
    *,
    no_mouse: bool = False,
    theme: str | None = None,
    ascii: bool = False,  # noqa: A002 - the option's name
    context: Context,
) -> int:
    """Open the console.

    Args:
        no_mouse: leave the mouse to the terminal.
        theme: a theme's name.
        ascii: draw with ASCII characters only.
    """
    return open_console(context.options, no_mouse=no_mouse, theme=theme, ascii=ascii)
