"""Open the console without the command parser, so that ``hooktui`` alone starts fast."""

from __future__ import annotations

import gc
import os
import sys

from hooktui.cli.exit_codes import UsageError
from hooktui.cli.options import GlobalOptions
from hooktui.domain.roles import restricted


def check_terminal(help_command: str) -> None:
    """Check that the console can be drawn here.

    Raises:
        UsageError: stdin or stdout is not a terminal, or it cannot place text, such as a shell in
            an editor; names the command that says what else there is.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(f"the console needs a terminal; see: {help_command}")
    if os.environ.get("TERM") == "dumb":
        raise UsageError(
            "the console needs a terminal that can move its cursor, and TERM is dumb;"
            f" see: {help_command}"
        )


def open_console(
    options: GlobalOptions,
    *,
    no_mouse: bool = False,
    theme: str | None = None,
    ascii: bool = False,  # noqa: A002 - the option's name
) -> int:
    """Run the console in this terminal and return the exit code.

    Raises:
        UsageError: see `check_terminal`.
    """
    check_terminal("hooktui --help")
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
