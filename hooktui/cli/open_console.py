"""Open the console without the command parser, so that ``hooktui`` alone starts fast."""

from __future__ import annotations

import gc
import os
import sys

from hooktui.cli.exit_codes import UsageError
from hooktui.cli.options import GlobalOptions
from hooktui.domain.roles import restricted


def open_console(
    options: GlobalOptions,
    *,
    no_mouse: bool = False,
    theme: str | None = None,
    ascii: bool = False,  # noqa: A002 - the option's name
) -> int:
    """Run the console in this terminal and return the exit code.

    Raises:
        UsageError: stdin or stdout is not a terminal.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("the console needs a terminal; see: hooktui --help")
    if restricted(os.environ):
        # Such variables have Textual write files, load a driver or press keys.
        for name in [variable for variable in os.environ if variable.startswith("TEXTUAL")]:
            del os.environ[name]
    gc.disable()  # `run` looks for garbage again after the first paint; imports make none
    from hooktui.console.run import run
    from hooktui.console.shell.preferences import ConsoleOptions

    return run(
        ConsoleOptions(
            connect=options.connect,
            account=options.account or 1,
            role=options.role,
            no_mouse=no_mouse,
            theme=theme,
            ascii=ascii,
        )
    )
