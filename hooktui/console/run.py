"""Entry point of the console, from the options to the exit code."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable

from hooktui.console.app import ConsoleApp
from hooktui.console.shell.preferences import ConsoleOptions
from hooktui.console.shell.terminal import release_signals
from hooktui.domain.text import visible


def run(options: ConsoleOptions, on_shown: Callable[[], object] | None = None) -> int:
    """Run the console in this terminal and return the exit code.

    ``on_shown`` is called once the first screen is shown.
    """
    from hooktui.client.address import find_server

    try:
        find_server(os.environ, options.connect)
    except ValueError as error:
        _print(str(error))
        return 2
    # There is no garbage before the first paint; disabling the collector saves 30 ms.
    gc.disable()
    app = ConsoleApp(options)
    try:
        _check_theme(app, options)
    except ValueError as error:
        _print(str(error))
        return 2
    app.call_after_refresh(gc.enable)
    if on_shown is not None:
        app.call_after_refresh(on_shown)
    app.run(mouse=not app.options.no_mouse)
    release_signals()
    gc.enable()
    # Repeat the problems on the terminal, because a notice disappears after a while.
    for problem in [*app.problems(), app.session.write()]:
        _print(problem)
    for report in app.calls.stopped_work:
        _print(f"you quit before all was done: {report}")
    for doing in app.calls.unfinished:
        _print(f"you quit while {doing}; check whether it was done")
    if app.fault is not None:
        _print(app.fault)
        return app.return_code or 1
    return app.return_code or 0


def _print(what: str) -> None:
    if what:
        sys.stderr.write(f"hooktui: {visible(what)}\n")


def _check_theme(app: ConsoleApp, options: ConsoleOptions) -> None:
    """Check that the theme of the options exists.

    Raises:
        ValueError: it does not; the message lists the known themes and errors in theme files.
    """
    if options.theme is not None and options.theme not in app.available_themes:
        wrong = [problem for problem in app.preferences.problems if problem.startswith("themes/")]
        known = ", ".join(sorted(app.available_themes))
        raise ValueError("; ".join([f"unknown theme {options.theme!r}; known: {known}", *wrong]))
