"""How large the terminal is: no larger than what is worth drawing, and what works when it is tiny.

A client's terminal claims any size that it likes, at the start and later, and each cell costs
memory and output. In a terminal below the smallest size nothing is drawn but a message, so nothing
else may act: no key, no mouse, no paste, in whatever screen or dialog lies under the message.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from textual import events
from textual.app import App
from textual.geometry import Size
from textual.screen import Screen
from textual.widget import Widget

from hooktui.console.keymap import Keymap
from hooktui.console.registry import BY_NAME

if TYPE_CHECKING:
    from hooktui.console.shell.contract import Shell

SMALLEST: Final = Size(60, 15)
LARGEST: Final = Size(1000, 500)
"""Wider and higher than any display; drawn in about as much memory as the console needs anyway."""

WATCHED_EVERY_S: Final = 1.0
"""A size that was missed, such as a signal that did not come, is drawn after so long."""

TOO_SMALL_CLASSES: Final = ("-tiny", "-flat")
"""Classes of a screen that is laid out below the smallest size; see `ConsoleApp`'s breakpoints."""


def is_too_small(size: Size) -> bool:
    """Return whether nothing but a message fits."""
    return size.width < SMALLEST.width or size.height < SMALLEST.height


def clamped(size: Size) -> Size:
    """Return the part of a terminal that is drawn."""
    return Size(min(size.width, LARGEST.width), min(size.height, LARGEST.height))


def set_focus_if_drawn(
    screen: Screen[Any],
    widget: Widget | None,
    scroll_visible: bool = True,
    from_app_focus: bool = False,
) -> None:
    """Move the focus, as `Screen.set_focus`; screens of the console have it as their own.

    Textual takes the focus from a widget that is hidden. While only the message is drawn it stays
    where it is.
    """
    if widget is not None or not cast("Shell", screen.app).too_small:
        Screen.set_focus(screen, widget, scroll_visible, from_app_focus)


async def on_event_at_size_of_app(screen: Screen[Any], event: events.Event) -> None:
    """Handle an event, as `Screen.on_event`; screens of the console have it as their own.

    A change of size is always to the size of the app. Textual's screens also send themselves the
    size that they have laid out, which would replace a newer one that waits before it.

    A screen has the classes of that size before its widgets are made, and its styles are not
    applied again when it comes to the front: a change of the theme reaches all screens at once.
    """
    if isinstance(event, events.Resize):
        size = screen.app.size
        event = events.Resize(size, size, pixel_size=event.pixel_size)
    elif isinstance(event, events.Compose):
        named = screen.app.HORIZONTAL_BREAKPOINTS, screen.app.VERTICAL_BREAKPOINTS
        for length, breakpoints in zip(screen.app.size, named, strict=True):
            screen.add_class(*screen._get_breakpoint_classes(length, breakpoints or []))
    elif isinstance(event, events.ScreenResume):
        event.refresh_styles = False
    await Screen.on_event(screen, event)


class TerminalSize:
    """Keeps an app to sizes worth drawing; a terminal that is too small takes a few keys only.

    Args:
        app: the app.
        keymap: the keys as the user has them.
        unsaved: returns whether text that was typed would be lost by quitting.
    """

    def __init__(self, app: App[None], keymap: Keymap, unsaved: Callable[[], bool]) -> None:
        self._app, self._keymap, self._unsaved = app, keymap, unsaved
        self._asked = False  # for help, in a terminal that is too small

    @property
    def too_small(self) -> bool:
        """Whether only the message is drawn, or will be with the next frame."""
        screen = self._app.screen_stack[-1] if self._app.screen_stack else None
        still = screen is not None and any(screen.has_class(name) for name in TOO_SMALL_CLASSES)
        return still or is_too_small(self._app.size)

    def message(self) -> Sequence[str]:
        """Return the lines of the message."""
        size, quits = self._app.size, f"{self._keymap.key('quit')} quits"
        lines = [
            f"this terminal is {size.width}x{size.height}",
            f"hooktui needs {SMALLEST.width}x{SMALLEST.height}",
        ]
        if not self._asked:
            return [*lines, quits]
        if self._unsaved():
            quits = "ctrl+q quits; unsaved text is lost"
        else:
            quits = f"{quits}, and so does ctrl+q"
        return [*lines, quits, "all other keys work once it is larger"]

    def watch(self) -> None:
        """Compare the size that is drawn with the terminal's, again and again."""
        self._app.set_interval(WATCHED_EVERY_S, self._compare, name="terminal size")

    def _compare(self) -> None:
        stream = sys.__stderr__  # that Textual writes to
        if stream is None:
            return
        with contextlib.suppress(OSError):
            size = clamped(Size(*os.get_terminal_size(stream.fileno())))
            event = events.Resize(size, size)
            if size != self._app.size:
                self._app.post_message(event)
            elif size != self._app.screen.outer_size:
                self._app.screen.post_message(event)

    def clamp(self, event: events.Resize) -> events.Resize:
        """Return a change of size, limited to what is drawn."""
        size = clamped(event.size)
        self._asked = self._asked and is_too_small(size)
        return events.Resize(size, size, pixel_size=event.pixel_size)

    def press(self, key: str) -> None:
        """Quit or explain in a terminal that is too small; every other key does nothing."""
        if key == "ctrl+q" or (key in self._keys("quit") and not self._unsaved()):
            self._app.exit()
        elif key in (*self._keys("quit"), *self._keys("help"), "ctrl+c"):
            self._asked = True
            for line in self._app.screen.query("TooSmall"):
                line.refresh()

    def _keys(self, name: str) -> Sequence[str]:
        return self._keymap.fit(BY_NAME[name]).keys.split(",")
