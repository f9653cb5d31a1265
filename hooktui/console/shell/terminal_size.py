"""How large the terminal is: no larger than what is worth drawing, and what works when it is tiny.

A client's terminal claims any size that it likes, at the start and later, and each cell costs
memory and output. In a terminal below the smallest size nothing is drawn but a message, so nothing
else may act: no key, no mouse, no paste, in whatever screen or dialog lies under the message.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any, Final, cast

from textual import events
from textual.geometry import Size
from textual.screen import Screen
from textual.widget import Widget

from hooktui.console.keymap import Keymap
from hooktui.console.registry import BY_NAME
from hooktui.console.shell.terminal import RestrictedMode

if TYPE_CHECKING:
    from collections.abc import Sequence

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


def message(size: Size, keymap: Keymap, *, asked: bool, unsaved: bool) -> Sequence[str]:
    """Return the message for a terminal that is too small, line by line.

    Args:
        size: of the terminal.
        keymap: the keys as the user has them.
        asked: whether the help key was pressed, or quitting needs a word.
        unsaved: whether typed text would be lost.
    """
    needs = f"hooktui needs {SMALLEST.width}x{SMALLEST.height}"
    quits = f"{keymap.key('quit')} quits"
    if asked:
        quits = "ctrl+q quits; unsaved text is lost" if unsaved else f"{quits}, and so does ctrl+q"
    return [
        f"this terminal is {size.width}x{size.height}",
        needs,
        quits,
        *(["all other keys work once it is larger"] if asked else []),
    ]


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
    if widget is not None or not cast("SizedApp", screen.app).too_small:
        Screen.set_focus(screen, widget, scroll_visible, from_app_focus)


class SizedApp(RestrictedMode):
    """An app that draws what is worth drawing, and takes no input for what is not drawn.

    Attributes:
        asked_small: whether help was asked for in a terminal that is too small.
    """

    asked_small = False

    @property
    def size(self) -> Size:
        """The size of what is drawn."""
        return clamped(super().size)

    @property
    def too_small(self) -> bool:
        """Whether only the message is drawn, or will be with the next frame."""
        screen = self.screen_stack[-1] if self.screen_stack else None
        still = screen is not None and any(screen.has_class(one) for one in TOO_SMALL_CLASSES)
        return still or is_too_small(self.size)

    def watch_size(self) -> None:
        """Compare the size that is drawn with the terminal's, again and again."""
        self.set_interval(WATCHED_EVERY_S, self._follow_size, name="terminal size")

    def _follow_size(self) -> None:
        stream = sys.__stderr__  # that Textual writes to
        if stream is None:
            return
        with contextlib.suppress(OSError):
            size = clamped(Size(*os.get_terminal_size(stream.fileno())))
            event = events.Resize(size, size)
            if size != self.size:
                self.post_message(event)
            elif size != self.screen.outer_size:
                self.screen.post_message(event)

    def small_message(self) -> Sequence[str]:
        """Return the lines of the message."""
        return message(self.size, self.user_keymap(), asked=self.asked_small, unsaved=self.unsaved)

    async def on_event(self, event: events.Event) -> None:
        """Clamp what the terminal claims; drop input while only the message is drawn."""
        if isinstance(event, events.Resize):
            size = clamped(event.size)
            event = events.Resize(size, size, pixel_size=event.pixel_size)
            self.asked_small = self.asked_small and is_too_small(size)
        is_input = isinstance(event, events.InputEvent | events.Paste)
        if is_input and not event.is_forwarded and self.too_small:
            if isinstance(event, events.Key):
                self._small_key(event.key)
            return
        await super().on_event(event)

    def _small_key(self, key: str) -> None:
        """Quit or explain; every other key does nothing."""
        if key == "ctrl+q" or (key in self._keys("quit") and not self.unsaved):
            self.exit()
        elif key in (*self._keys("quit"), *self._keys("help"), "ctrl+c"):
            self.asked_small = True
            for line in self.screen.query("TooSmall"):
                line.refresh()

    @property
    def unsaved(self) -> bool:
        """Whether text that was typed would be lost by quitting."""
        raise NotImplementedError

    def _keys(self, name: str) -> Sequence[str]:
        return self.user_keymap().fit(BY_NAME[name]).keys.split(",")

    def user_keymap(self) -> Keymap:
        """Return the keys as the user has them."""
        raise NotImplementedError
