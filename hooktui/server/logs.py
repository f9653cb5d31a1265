"""The server's log: one line for each notable event, on stderr, safe to show in a terminal."""

from __future__ import annotations

import logging
import sys
import time
from collections import Counter
from collections.abc import Callable

from hooktui.domain.clock import to_rfc3339
from hooktui.domain.rates import TokenBucket
from hooktui.domain.text import counted, visible

_PRIORITIES = {logging.CRITICAL: 2, logging.ERROR: 3, logging.WARNING: 4, logging.DEBUG: 7}
"""Priorities of syslog, by level."""


class LogFormatter(logging.Formatter):
    """``2026-11-25T03:04:05.678Z INFO hooktui.server.run: started version=0.1.0``.

    The text of a line may be untrusted, so it goes through ``visible``; a traceback keeps its
    lines.

    Args:
        journal: whether systemd's journal reads the lines: each begins with its priority
            (sd-daemon(3)), which the journal removes.
    """

    def __init__(self, *, journal: bool = False) -> None:
        super().__init__()
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of a record."""
        at = to_rfc3339(round(record.created * 1000))
        line = f"{at} {record.levelname} {record.name}: {visible(record.getMessage())}"
        if record.exc_info:
            line += "\n" + visible(self.formatException(record.exc_info), lines=True)
        if self._journal:
            priority = f"<{_PRIORITIES.get(record.levelno, 6)}>"
            line = priority + line.replace("\n", f"\n{priority}")
        return line


class RateFilter(logging.Filter):
    """Limits the lines of each logger to a burst and a rate, because callers can cause lines.

    So no flood of refusals drops the lines of another module, such as the head of the audit trail.
    It omits no errors; the next line after omitted ones gives their number.
    """

    AT_ONCE = 1000
    PER_S = 10

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._buckets: dict[str, TokenBucket] = {}
        self._omitted = Counter[str]()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is written."""
        now_ms, name = int(self._clock() * 1000), record.name
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = self._buckets[name] = TokenBucket.full(self.PER_S, now_ms, self.AT_ONCE)
        if bucket.whole(now_ms):
            bucket.take(1)
        elif record.levelno < logging.ERROR:
            self._omitted[name] += 1
            return False
        if omitted := self._omitted.pop(name, 0):
            before = counted(omitted, "line")
            record.msg = f"{record.getMessage()} ({before} before it omitted)"
            record.args = None
        return True


class DuplicateFilter(logging.Filter):
    """Omits a warning or error that was written less than a minute ago.

    While a database is unreachable, the same lines come each second. The next one after that minute
    gives the number of those omitted.
    """

    EVERY_S = 60.0
    MAX_LINES = 1000

    def __init__(self) -> None:
        super().__init__()
        self._written_s: dict[tuple[str, ...], float] = {}
        self._omitted = Counter[tuple[str, ...]]()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is written."""
        if record.levelno < logging.WARNING:
            return True
        message = record.getMessage()
        error = repr(record.exc_info[1]) if record.exc_info else ""
        line = (record.name, message, error)
        before_s = self._written_s.get(line)
        if before_s is not None and 0 <= record.created - before_s < self.EVERY_S:
            self._omitted[line] += 1
            return False
        if len(self._written_s) >= self.MAX_LINES:
            self._written_s.clear()
            self._omitted.clear()
        self._written_s[line] = record.created
        omitted = self._omitted.pop(line, 0)
        if omitted and before_s is not None:
            since = to_rfc3339(round(before_s * 1000))
            record.msg = f"{message} ({counted(omitted, 'equal line')} omitted since {since})"
            record.args = None
        return True


def log_to_stderr(*, journal: bool) -> None:
    """Log to stderr; of libraries only warnings and errors.

    Args:
        journal: whether systemd's journal reads them.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LogFormatter(journal=journal))
    handler.addFilter(DuplicateFilter())
    handler.addFilter(RateFilter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("hooktui").setLevel(logging.INFO)
