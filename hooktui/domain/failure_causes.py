"""The cause of an undelivered delivery: why its last attempt failed, from a closed list."""

from __future__ import annotations

from typing import Final

from hooktui.domain.deliveries import ErrorClass

HELD: Final = "held"
"""The group of deliveries that wait because their hook is disabled; no delivery has this cause."""
SKIPPED: Final = "skipped"
"""The group of events skipped while their hook was disabled; they have no delivery."""
SERVER_ERROR: Final = "http_5xx"
OTHER_STATUS: Final = "http_other"

ERROR_CAUSES: Final = tuple(error.value for error in ErrorClass if error is not ErrorClass.STATUS)
"""Every error class is a cause under its own name, except a status, which has the three below."""

CAUSES: Final = (
    *ERROR_CAUSES, *(f"http_{code}" for code in range(400, 500)), SERVER_ERROR, OTHER_STATUS,
)  # fmt: skip
"""All causes of a delivery."""
ALL_GROUPS: Final = (*CAUSES, HELD, SKIPPED)
"""The cause of every possible group."""


def cause_of(error: str | None, status_code: int | None) -> str | None:
    """Return the cause of an attempt with this `ErrorClass`; None for a delivered one."""
    if error is None:
        return None
    if error != ErrorClass.STATUS:
        return error
    if status_code is not None and 400 <= status_code < 500:
        return f"http_{status_code}"
    if status_code is not None and 500 <= status_code < 600:
        return SERVER_ERROR
    return OTHER_STATUS


def complete_status(error: str | None, status_code: int | None) -> int | None:
    """Return the status of an attempt's response, or None without a complete one."""
    return status_code if error in (None, ErrorClass.STATUS, ErrorClass.REDIRECT) else None


def last_status(error: str | None, status_code: int | None) -> int | str | None:
    """Return the status of an attempt's response, or its error class without a complete one."""
    status = complete_status(error, status_code)
    return error if status is None else status


CAUSES_IN_WORDS: Final = ", ".join(
    (*ERROR_CAUSES, "http_400 to http_499", SERVER_ERROR, OTHER_STATUS)
)
GROUPS_IN_WORDS: Final = f"{CAUSES_IN_WORDS}, {HELD}, {SKIPPED}"
