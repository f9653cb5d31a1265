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


class ReliableTimers(MessagePump):
    """Something with timers whose calls come late rather than never."""

    def set_timer(
        self,
        delay: float,
        callback: TimerCallback | None = None,
        *,
        name: str | None = None,
        pause: bool = False,
    ) -> Timer:
        """Call something once, after a delay in seconds."""
        timer = super().set_timer(delay, callback, name=name, pause=pause)
        timer._skip = False  # it starts with the next turn of the loop
        return timer
