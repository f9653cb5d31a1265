"""What is its user's in the console: the keys, the themes, and what is remembered of a server."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from hooktui.console.frame.screen import full_screens
from hooktui.console.keymap import Keymap
from hooktui.console.registry import TOP_SCREENS, TopScreen
from hooktui.console.shell.preferences import ConsoleOptions, read_configuration
from hooktui.console.shell.session_state import load_state
from hooktui.console.shell.terminal_size import SizedApp
from hooktui.console.themes import THEMES, default_theme, quiet_colour, readable_variables
from hooktui.domain.roles import restricted

if TYPE_CHECKING:
    from rich.console import RenderableType


class PersonalApp(SizedApp):
    """An app with a configuration and a memory.

    Attributes:
        environ: the environment.
        configuration: what the user has set.
        options: what the command line told, over what is set.
        memory: what is remembered of the server.
    """

    def __init__(
        self, options: ConsoleOptions | None = None, environ: Mapping[str, str] | None = None
    ) -> None:
        self.environ = dict(os.environ if environ is None else environ)
        self.configuration = read_configuration(self.environ)
        told = options or ConsoleOptions()
        self.options = self.configuration.under(told, self.environ.get("TERM", ""))
        super().__init__()
        self.restricted = restricted(self.environ)
        self.session = load_state(self.environ, _server(self.environ, told.connect))
        for theme in (*THEMES, *self.configuration.themes):
            self.register_theme(theme)
        self._theme_before = self._first_theme()
        self.theme = self._theme_before
        if told.theme is None and self.session.theme is not None:
            chosen, before = self.session.theme
            # What the configuration, or another terminal, asks for by now goes before it.
            if before == self._theme_before and chosen in self.available_themes:
                self.theme = chosen
        self.set_keymap(self.configuration.keymap.ids())

    def _first_theme(self) -> str:
        wanted = self.options.theme
        return wanted if wanted in self.available_themes else default_theme(self.environ)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Give every theme the one colour that only ours define."""
        return {"quiet": quiet_colour(self.current_theme)}

    def get_css_variables(self) -> dict[str, str]:
        """Return the variables of the theme, with colours that can be read in every one."""
        variables = super().get_css_variables()
        if not self.current_theme.ansi:
            variables |= readable_variables(variables)
            self.theme_variables = variables
        return variables

    def key(self, name: str) -> str:
        """Return how the key of a command is shown, for sentences."""
        return self.configuration.keymap.key(name)

    def user_keymap(self) -> Keymap:
        """Return the keys as the user has them."""
        return self.configuration.keymap

    def problems(self) -> list[str]:
        """Return what is wrong with the configuration and the memory, in sentences."""
        found = list(self.configuration.problems)
        theme = self.options.theme
        if theme is not None and theme not in self.available_themes:
            found.append(f"[console] theme: there is no theme {theme!r}")
        if self.session.problem:
            found.append(self.session.problem)
        return found

    # -- the memory

    def place_before(self) -> TopScreen | None:
        """Return the place that was shown last time, unless that is home."""
        return next((one for one in TOP_SCREENS[1:] if one.name == self.session.place), None)

    def exit(
        self,
        result: None = None,
        return_code: int = 0,
        message: RenderableType | None = None,
    ) -> None:
        """End, and note first what is shown: the screens are gone soon."""
        self.remember()
        super().exit(result, return_code, message)

    def remember(self) -> None:
        """Note what is shown; `SessionState.write` keeps it for the next time."""
        for screen in full_screens(self):
            screen.keep()
            for place in TOP_SCREENS:
                if place.label == screen.HEADING.lower():
                    self.session.place = place.name
        changed = self.theme != self._theme_before
        self.session.theme = (self.theme, self._theme_before) if changed else None


def _server(environ: Mapping[str, str], connect: str | None) -> str:
    """Return what tells one server from another."""
    from hooktui.client.address import find_server
    from hooktui.domain.errors import Refused

    try:
        return str(find_server(environ, connect))
    except (Refused, ValueError):
        return ""  # `run` has refused it before; a test may go on without a server
