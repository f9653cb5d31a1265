"""Limits of the terminal size: a maximum that is drawn, and a minimum for normal operation.

A client's terminal can report any size, at the start and later, and each cell costs memory and
output. Below the minimum only a message is drawn, so keys (except those that quit or explain),
mouse and paste are ignored, whatever screen or dialog is below the message.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

from textual import events
from textual.app import App
from textual.geometry import Size
from textual.screen import Screen
from textual.widget import Widget

from hooktui.console.keymap import Keymap
from hooktui.console.registry import BY_NAME

SMALLEST: Final = Size(60, 15)
LARGEST: Final = Size(1000, 500)
"""Larger than any display; drawing it takes about as much memory as the console itself."""

WATCHED_EVERY_S: Final = 1.0
"""Interval of the check that corrects a missed change of size, such as after a lost signal."""

TOO_SMALL_CLASSES: Final = ("-tiny", "-flat")
"""CSS classes of a screen below the smallest size; see the breakpoints of `ConsoleApp`."""


def is_too_small(size: Size) -> bool:
    """Return whether only a message fits into a terminal of a size."""
    return size.width < SMALLEST.width or size.height < SMALLEST.height


def clamped(size: Size) -> Size:
    """Return the size of the part of a terminal that is drawn."""
    return Size(min(size.width, LARGEST.width), min(size.height, LARGEST.height))


def set_focus_if_drawn(
    screen: Screen[Any],
    widget: Widget | None,
    scroll_visible: bool = True,
    from_app_focus: bool = False,
) -> None:
    """Set the focus; screens of the console use this in place of `Screen.set_focus`.

    Textual removes the focus from a hidden widget. While only the message is drawn, this keeps the
    focus.
    """
    terminal: TerminalSize = cast("Any", screen.app).terminal_size
    if widget is not None or not terminal.too_small:
        Screen.set_focus(screen, widget, scroll_visible, from_app_focus)


def reset_focus_if_hidden(
    screen: Screen[Any], widget: Widget, avoiding: list[Widget] | None = None
) -> None:
    """Move the focus from a hidden or removed widget; used in place of `Screen._reset_focus`.

    A covered screen hides and shows its widgets when it is resumed, and the event of the former may
    come after the latter. The widget that is shown again keeps the focus.
    """
    if avoiding or not all(node.display for node in widget.ancestors_with_self):
        Screen._reset_focus(screen, widget, avoiding)


async def on_event_at_size_of_app(screen: Screen[Any], event: events.Event) -> None:
    """Handle an event; screens of the console use this in place of `Screen.on_event`.

    A resize always uses the size of the app. Textual's screens also send themselves the size of
    their layout, which would replace a newer size that is ahead of it in the queue.

    A screen has the classes of that size before its widgets are created. Its styles are not applied
    again when it is resumed, because a change of theme reaches all screens at once.
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
    """Limits the size of an app; a terminal that is too small accepts only a few keys.

    ``unsaved`` returns whether quitting would lose typed text.
    """

    def __init__(self, app: App[None], keymap: Keymap, unsaved: Callable[[], bool]) -> None:
        self._app, self._keymap, self._unsaved = app, keymap, unsaved
        self._asked = False  # whether help was requested in a terminal that is too small

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
        return [*lines, quits, "the other keys work when it is larger"]

    def watch(self) -> None:
        """Set up the periodic comparison of the drawn size with the size of the terminal."""
        self._app.set_interval(WATCHED_EVERY_S, self._compare, name="terminal size")

    def _compare(self) -> None:
        stream = sys.__stderr__  # the stream that Textual writes to
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
        """Return a resize event, limited to the size that is drawn."""
        size = clamped(event.size)
        self._asked = self._asked and is_too_small(size)
        return events.Resize(size, size, pixel_size=event.pixel_size)

    def press(self, key: str) -> None:
        """Handle a key in a terminal that is too small: quit, explain, or ignore it."""
        if key == "ctrl+q" or (key in self._keys("quit") and not self._unsaved()):
            self._app.exit()
        elif key in (*self._keys("quit"), *self._keys("help"), "ctrl+c"):
            self._asked = True
            for line in self._app.screen.query("TooSmall"):
                line.refresh()

    def _keys(self, name: str) -> Sequence[str]:
        return self._keymap.fit(BY_NAME[name]).keys.split(",")
