"""Programs in a pseudo-terminal: as a person sees them, and what they cost.

``python -m tests.system.terminal`` measures the console; see docs/understand/performance.md.
"""

from tests.system.terminal.screen import Terminal, open_terminal

__all__ = ["Terminal", "open_terminal"]
