"""One-shot timers that always call their callback.

Textual (8.2.8, ``Timer._run``) skips calls that are overdue. For a one-shot timer that is the only
call: if the process is suspended between two readings of the clock for longer than the delay, the
timer ends without it. As a result, a resized terminal kept its old size permanently, and the
periodic reload of the status stopped.
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
    """Call a function once after a delay in seconds, late rather than never.

    Classes of the console use it as ``set_timer``, so that it also applies to Textual's own timers.
    """
    timer = MessagePump.set_timer(pump, delay, callback, name=name, pause=pause)
    timer._skip = False  # set in time: the timer starts in the next iteration of the loop
    return timer
