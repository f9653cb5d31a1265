"""The clock of the pictures: it stands still until it is told to go on. Import this first.

Every room takes ``now_ms`` from ``hooktui.domain.clock`` when it is imported; `install` puts a
clock there before, so that store, API and console all go by it.
"""

from __future__ import annotations

import sys

from hooktui.domain import clock


class StillClock:
    """Moves only when told, and never back; calling it gives milliseconds since the epoch."""

    def __init__(self, ms: int) -> None:
        self.ms = ms

    def __call__(self) -> int:
        """Return the moment."""
        return self.ms

    def go_to(self, ms: int) -> None:
        """Go on to a moment."""
        self.ms = max(self.ms, ms)


def install(still: StillClock) -> None:
    """Make a clock the only one.

    Raises:
        RuntimeError: somebody has taken the real one already.
    """
    early = [
        name
        for name, module in sys.modules.items()
        if name.startswith("hooktui.") and module is not clock and hasattr(module, "now_ms")
    ]
    if early:
        raise RuntimeError(f"imported before the clock was in place: {', '.join(early)}")
    clock.now_ms = still
