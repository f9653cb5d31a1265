"""The server's log: one line for each notable thing, on stderr, safe to show in a terminal."""

from __future__ import annotations

import logging
import sys

from hooktui.domain.clock import to_rfc3339
from hooktui.domain.text import visible


class OneLine(logging.Formatter):
    """``2026-11-25T03:04:05.678Z INFO hooktui.server: started version=0.1.0``.

    What is in a line may come from strangers, so it goes through ``visible``; a traceback keeps its
    lines.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of a record."""
        at = to_rfc3339(round(record.created * 1000))
        line = f"{at} {record.levelname} {record.name}: {visible(record.getMessage())}"
        if record.exc_info:
            line += "\n" + visible(self.formatException(record.exc_info), lines=True)
        return line


def log_to_stderr(level: int = logging.INFO) -> None:
    """Send what the program and its libraries log to stderr; of libraries only what is wrong."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLine())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("hooktui").setLevel(level)
