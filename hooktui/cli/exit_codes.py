"""How commands fail: a line or a problem object on stderr, and an exit code."""

from __future__ import annotations

import json
import re
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType

from hooktui.client.responses import Problem
from hooktui.domain.errors import HooktuiError, NoServer, Refused
from hooktui.domain.text import visible

DONE, FAILED, USAGE, NOT_FOUND, NOT_ALLOWED, NO_SERVER, REFUSED = range(7)
INTERRUPTED = 130
"""128 + SIGINT, as shells report it."""

BROKEN_PIPE = 141
"""128 + SIGPIPE: the reader of our output has seen enough."""

_CODES = {
    400: REFUSED,
    401: NOT_ALLOWED,
    403: NOT_ALLOWED,
    404: NOT_FOUND,
    413: REFUSED,
    415: REFUSED,
    422: REFUSED,
}


class UsageError(HooktuiError):
    """The command line is wrong: a bad option, or a file that cannot be read."""

    status = 0
    title = "Usage"


class Failed(HooktuiError):
    """The command was valid but did not succeed, such as a stop that takes too long."""

    status = 500
    title = "Failed"


def exit_code(error: HooktuiError) -> int:
    """Return the exit code of an error; it follows from the HTTP status."""
    if isinstance(error, NoServer):
        return NO_SERVER
    if error.status == 0:  # no server's: the command line or the configuration is wrong
        return USAGE
    return _CODES.get(error.status, FAILED)


def report(error: HooktuiError, *, as_json: bool) -> int:
    """Report an error on stderr as text or JSON, and return its exit code."""
    if as_json:
        sys.stderr.write(json.dumps(_problem(error)) + "\n")
    else:
        sys.stderr.write(f"hooktui: {visible(error.detail)}\n")
    return exit_code(error)


def _problem(error: HooktuiError) -> dict[str, object]:
    if isinstance(error.__cause__, Problem):
        return dict(error.__cause__.fields)
    problem: dict[str, object] = {
        "type": "about:blank",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
    }
    if isinstance(error, Refused) and error.errors:
        problem["errors"] = [{"pointer": e.pointer, "detail": e.detail} for e in error.errors]
    return problem


@contextmanager
def naming_options(options: Mapping[str, str]) -> Iterator[None]:
    """Name options where the server refuses fields of the API; ``options``: by field.

    With --json the server's problem object stays as it is.
    """
    try:
        yield
    except Refused as error:
        fields = r"\b(" + "|".join(map(re.escape, options)) + r")\b"
        detail = re.sub(fields, lambda found: options[found[1]], error.detail)
        raise Refused(detail, error.errors) from error.__cause__


@contextmanager
def leaving_orderly() -> Iterator[None]:
    """Unwind on SIGTERM and on a lost terminal, so that the command cleans up."""

    def leave(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    signals = (signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, leave) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
