"""Navigation between screens, each of which is imported when it is first opened."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from importlib import import_module
from typing import cast

from textual.app import App

from hooktui.console.frame.chosen_rows import ChosenRows
from hooktui.console.frame.screen import ConsoleScreen, close_front, front_screen, full_screens
from hooktui.console.registry import TOP_SCREENS, TopScreen
from hooktui.console.shell.contract import Navigator
from hooktui.domain.filters.terms import NO_TERMS, FilterTerms


class Navigation(Navigator):
    """Opens screens on the screen stack of an app; the first top screen is at the bottom."""

    def __init__(self, app: App[None]) -> None:
        self._app = app

    def go(self, top: TopScreen) -> None:
        """Switch to a top screen and close all screens above the bottom one."""
        kind = screen_class(top)
        if type(self._app.screen) is kind:
            return
        while len(self._app.screen_stack) > 1:
            close_front(self._app)
        if not isinstance(self._app.screen, kind):
            self._app.push_screen(kind())

    def show_tab(self, path: str) -> None:
        """Replace the screen in the foreground by another tab of its top screen."""
        front = front_screen(self._app)
        if front is not None:
            front.leave(_import(path)())

    def select(self, heading: str, identity: Hashable) -> None:
        """Move the cursor to a new object in the list of the screen that has the given heading."""
        for screen in full_screens(self._app):
            for part in screen.parts:
                if heading == screen.HEADING and isinstance(part, ChosenRows):
                    part.listing.select(identity)

    def ask_to_check_rows(self) -> None:
        """Ask the user to check the rows under the cursors: a screen over them closed by itself.

        A key that is meant for the closed screen must not act on another row.
        """
        for screen in full_screens(self._app):
            for part in screen.parts:
                if isinstance(part, ChosenRows):
                    part.listing.ask_to_check()

    def open(self, path: str, *arguments: object) -> None:
        """Open a screen by its path, written as in `TopScreen`."""
        self._app.push_screen(_import(path)(*arguments))

    def open_help(self) -> None:
        """Open the help of the screen in the foreground; selecting a command runs it."""
        from hooktui.console.frame.help import HelpScreen

        front = front_screen(self._app)
        if front is not None:
            self._app.push_screen(HelpScreen(front), front.run_chosen)

    def ask_to_leave(self, title: str, details: str, leave: Callable[[], object]) -> None:
        """Ask whether to discard typed text, and call ``leave`` if the user confirms."""
        from hooktui.console.frame.dialogs import DialogOption, Question

        def answered(answer: str | None) -> None:
            if answer == "leave":
                leave()

        options = (DialogOption("s", "stay", "stay"), DialogOption("y", "leave", "leave"))
        self._app.push_screen(Question(title, details, options), answered)

    def open_palette(self) -> None:
        """Open the command palette."""
        from hooktui.console.frame.palette import Palette

        if not isinstance(self._app.screen, Palette):
            words = "Search screens, hooks, commands and themes"
            self._app.push_screen(Palette(placeholder=words, id="--command-palette"))

    def filter_terms(self, word: str) -> FilterTerms:
        """Return the filter terms of a top screen by name, else of the screen in the foreground."""
        top = next((top for top in TOP_SCREENS if top.name == word), None)
        screen = front_screen(self._app) if top is None else screen_class(top)
        return NO_TERMS if screen is None else screen.FILTER_TERMS

    async def open_command_line(self, text: str = "") -> None:
        """Open the ``:`` line in the foreground, with a text; return once it has the focus."""
        from hooktui.console.frame.command_line import open_command_bar

        front = front_screen(self._app)
        if front is not None:
            await open_command_bar(front, text)


def screen_class(top: TopScreen) -> type[ConsoleScreen]:
    """Return the class of a top screen, imported if necessary."""
    return cast("type[ConsoleScreen]", _import(top.screen))


def _import(screen: str) -> Callable[..., ConsoleScreen]:
    module, _, name = screen.partition(":")
    return cast(
        "Callable[..., ConsoleScreen]", getattr(import_module(f"hooktui.console.{module}"), name)
    )
