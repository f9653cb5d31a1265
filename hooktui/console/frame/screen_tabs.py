"""Tabs that are screens of their own: another tab replaces the current screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hooktui.console.frame.frame_text import end_reason
from hooktui.console.frame.parts import Handler, ScreenPart
from hooktui.console.frame.screen import ConsoleScreen
from hooktui.console.registry import BY_NAME, Command
from hooktui.console.widgets.chrome import TabLine


@dataclass(frozen=True, slots=True)
class ScreenTab:
    """One tab: its name, and its screen as ``module:Class`` of the console package."""

    name: str
    screen: str


class ScreenTabs(ScreenPart):
    """The line of tabs of a screen, and the commands that switch between them.

    Args:
        screen: the screen, whose class is that of one of the tabs.
        tabs: all tabs.
    """

    def __init__(self, screen: ConsoleScreen, tabs: Sequence[ScreenTab]) -> None:
        self._screen, self._tabs = screen, tuple(tabs)
        name = type(screen).__name__
        self._here = [tab.screen.rpartition(":")[2] for tab in tabs].index(name)

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """The handlers that show the previous and the next tab."""
        here = self._here
        return {"previous": lambda: self.show(here - 1), "next": lambda: self.show(here + 1)}

    @property
    def labels(self) -> tuple[Command, ...]:
        """The commands that switch to another tab."""
        return (BY_NAME["previous"], BY_NAME["next"])

    def disabled_reason(self, name: str) -> str | None:
        """Return that there is no tab before the first or after the last one, or None."""
        return end_reason(name, self._here, len(self._tabs), "tab")

    def line(self) -> TabLine:
        """Return the line of tabs."""
        names = [tab.name for tab in self._tabs]
        line = TabLine(names, self._screen.shell.key, self.show, id="tabs")
        line.choose(self._here)
        return line

    def show(self, number: int) -> None:
        """Show a tab by its number; a number without a tab is ignored."""
        if number != self._here and 0 <= number < len(self._tabs):
            self._screen.shell.navigation.show_tab(self._tabs[number].screen)
