"""Timers that run once are never lost.

Textual (8.2.8, ``Timer._run``) skips what could not run in time. A timer that runs once has nothing
after what it skips: when the process is held between two readings of the clock for longer than the
delay, it ends without its call. A terminal that had been resized then stayed at the old size for
good, and a status that reads itself again never did.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.message_pump import MessagePump

if TYPE_CHECKING:
    from textual.timer import Timer, TimerCallback


def set_reliable_timer(
    pump: MessagePump,
    delay: float,
    callback: TimerCallback | None = None,
    *,
    name: str | None = None,
    pause: bool = False,
) -> Timer:
    """Call something once, after a delay in seconds; late rather than never.

    Classes of the console have it as their ``set_timer``, for Textual's own timers as well.
    """
    timer = MessagePump.set_timer(pump, delay, callback, name=name, pause=pause)
    timer._skip = False  # it starts with the next turn of the loop
    return timer
