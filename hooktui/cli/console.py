"""``hooktui`` alone: the console."""

from __future__ import annotations

import os
import sys
from typing import Annotated

from cyclopts import Parameter

from hooktui.cli.context import Context
from hooktui.cli.failure import UsageError
from hooktui.domain.restricted import restricted


def console(
    *,
    no_mouse: Annotated[bool, Parameter(negative=())] = False,
    theme: str | None = None,
    ascii: Annotated[bool, Parameter(negative=())] = False,  # noqa: A002 - the option's name
    context: Context,
) -> int:
    """Open the console.

    Args:
        no_mouse: leave the mouse to the terminal.
        theme: a theme's name.
        ascii: draw ASCII signs only.
        context: the run.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("the console needs a terminal; see: hooktui --help")
    if restricted(os.environ):
        # What Textual can be told this way: write a log or a picture, load a driver, press keys.
        for name in [one for one in os.environ if one.startswith("TEXTUAL")]:
            del os.environ[name]
    from hooktui.console.options import ConsoleOptions
    from hooktui.console.run import run

    return run(
        ConsoleOptions(
            connect=context.options.connect,
            account=context.account or 1,
            role=context.options.role,
            no_mouse=no_mouse,
            theme=theme,
            ascii=ascii,
        )
    )
