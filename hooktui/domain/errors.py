"""The errors of hooktui: a small tree in which each message says what happened and what to do.

Every error has the HTTP status with which the API responds (RFC 9110); the command line derives its
exit code from the same number, so that a refusal has the same meaning everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from logging import Logger
from typing import ClassVar, Final

MAX_ERRORS: Final = 20
"""Bad fields that one refusal names; a request may have thousands."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One bad field: a JSON pointer (RFC 6901) into the request body, and cause with fix."""

    pointer: str
    detail: str


def pointer(parts: Iterable[object]) -> str:
    """Return the JSON pointer (RFC 6901) to a place in a body, without the end of a long name."""
    names = (str(part)[:100] for part in parts)
    return "".join("/" + name.replace("~", "~0").replace("/", "~1") for name in names)


class HooktuiError(Exception):
    """An error that a person can act on; ``str(error)`` is one clear line.

    Attributes:
        outcome_unknown: whether the request may have been carried out nevertheless.
    """

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"
    outcome_unknown = False

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class Malformed(HooktuiError):
    """The input is not in its declared format, such as a body that is not JSON."""

    status = 400
    title = "Malformed request"


class Unauthenticated(HooktuiError):
    """No token, or one that is unknown, expired or revoked."""

    status = 401
    title = "Not authenticated"


class NotAllowed(HooktuiError):
    """The role of the caller does not allow this."""

    status = 403
    title = "Not allowed"


class UnsafeHome(NotAllowed):
    """Others could change the files of an installation, or they belong to another user."""

    title = "Unsafe home"


class NotFound(HooktuiError):
    """No such object, or not in this account."""

    status = 404
    title = "Not found"


class Conflict(HooktuiError):
    """The state of an object does not allow this, or it was changed meanwhile."""

    status = 409
    title = "Conflict"


class TooLarge(HooktuiError):
    """The input is over a size limit."""

    status = 413
    title = "Too large"


class Unsupported(HooktuiError):
    """The call does not support this media type."""

    status = 415
    title = "Unsupported media type"


class Refused(HooktuiError):
    """The input has invalid values; ``errors`` names each bad field."""

    status = 422
    title = "Refused input"

    def __init__(self, detail: str, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(detail)
        self.errors = tuple(errors)

    @classmethod
    def field(cls, pointer: str, detail: str) -> Refused:
        """Refuse one field."""
        return cls(detail, [FieldError(pointer, detail)])

    @classmethod
    def fields(cls, errors: Iterable[FieldError]) -> Refused:
        """Refuse several fields at once; the summary joins their messages in one line.

        Only the first `MAX_ERRORS` are named.
        """
        first = list(islice(errors, MAX_ERRORS + 1))
        named = first[:MAX_ERRORS]
        note = ["there are more errors like these"] if len(first) > MAX_ERRORS else []
        return cls("; ".join([*(error.detail for error in named), *note]), named)


class NoHomeFolder(Refused):
    """The environment names no folder for the files of an installation."""

    status = 0
    title = "No home folder"


class TooManyRequests(HooktuiError):
    """A rate limit is exceeded; ``retry_after_s`` says when to try again."""

    status = 429
    title = "Too many requests"

    def __init__(self, detail: str, retry_after_s: int = 1) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class Unavailable(HooktuiError):
    """The server cannot do this now (starting, stopping, store busy); try again."""

    status = 503
    title = "Unavailable"

    def __init__(self, detail: str, retry_after_s: int = 1) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class DiskFull(HooktuiError):
    """There is not enough space to store more events safely."""

    status = 507
    title = "Insufficient storage"


class OlderServer(HooktuiError):
    """The server does not have a call of this version (client side only)."""

    status = 501
    title = "Older server"


class NoServer(HooktuiError):
    """No server responds at the address (client side only).

    Attributes:
        listens: whether something listens there that is not a server for this client.
    """

    status = 0
    title = "No server"
    listens = False


def log_failure(log: Logger, error: Exception, what: str, again: str = "it is repeated") -> None:
    """Log a failure of work that is done again; an unexpected one with a traceback."""
    foreseen = isinstance(error, HooktuiError)
    why = f" ({error})" if foreseen else ""
    log.error("%s failed%s; %s", what, why, again, exc_info=None if foreseen else error)
