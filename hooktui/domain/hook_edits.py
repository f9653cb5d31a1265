"""Write-only values: sensitive header values and the basic-auth password.

A stored write-only value is sent to the receiver that it was given for and is shown to nobody. An
edit that would show it or send it to another server needs the value again in the same request. A
signing secret is no such value: it never leaves the server, and a signature does not reveal it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from hooktui.domain.addresses import Target, parse_url
from hooktui.domain.errors import FieldError, Refused
from hooktui.domain.hook_settings import HookSettings, header_pointer, sensitive_names

SHORTEST_MASKED: Final = 8
"""Characters; a shorter value occurs by chance in responses that have nothing to do with it."""


@dataclass(frozen=True, slots=True)
class GivenValues:
    """Which write-only values a request holds itself; ``***`` is not a value.

    Attributes:
        headers: names of headers whose values are given, in lower case.
        password: whether the basic-auth password is given.
    """

    headers: frozenset[str] = frozenset()
    password: bool = False


def same_origin(before: HookSettings, after: HookSettings) -> bool:
    """Return whether two URLs lead to the same scheme, host and port."""
    one, other = _target(before.url), _target(after.url)
    return one is not None and other is not None and one.origin == other.origin


def check_write_only(
    before: HookSettings, after: HookSettings, given: GivenValues
) -> list[FieldError]:
    """Return why an edit would show a stored write-only value or send it to another server."""
    moved = not same_origin(before, after)
    hidden = {name.lower() for name in sensitive_names(after.headers, after.sensitive_headers)}
    kept = kept_headers(before, after, given.headers)
    errors = [_readable(name) for name in kept if name.lower() not in hidden]
    if moved:
        target = _shown_origin(after.url)
        errors += [_elsewhere(header_pointer(n), f"header {n!r}", target) for n in kept]
        if before.basic_auth and after.basic_auth and not given.password:
            errors.append(_elsewhere("/basic_auth/password", "basic_auth.password", target))
    return errors


def kept_headers(before: HookSettings, after: HookSettings, given: Collection[str]) -> list[str]:
    """Return the headers of an edited hook whose write-only values come from the stored hook."""
    stored = {n.lower() for n in sensitive_names(before.headers, before.sensitive_headers)}
    return [n for n in after.headers if n.lower() in stored and n.lower() not in given]


def warn_of_short_values(settings: HookSettings, given: GivenValues) -> list[str]:
    """Return a warning for each given value that is too short to be masked in responses."""
    short = [
        f"the value of header {name!r}"
        for name in settings.sensitive_headers
        if name.lower() in given.headers and len(settings.headers[name]) < SHORTEST_MASKED
    ]
    auth = settings.basic_auth
    if auth is not None and given.password and len(auth.password) < SHORTEST_MASKED:
        short.append("the basic-auth password")
    return [
        f"{what} has fewer than {SHORTEST_MASKED} characters; it is not masked in a response"
        " that repeats it, so choose a longer one"
        for what in short
    ]


def _readable(name: str) -> FieldError:
    return FieldError(
        header_pointer(name),
        f"the stored value of header {name!r} is write-only; give the value again to make the"
        " header readable",
    )


def _elsewhere(pointer: str, what: str, target: str) -> FieldError:
    return FieldError(
        pointer,
        f"the stored value of {what} is not sent to another server ({target}); give the value"
        " again together with the URL, or remove it",
    )


def _shown_origin(url: str) -> str:
    target = _target(url)
    return "unknown" if target is None else f"{target.scheme}://{target.host}:{target.port}"


def _target(url: str) -> Target | None:
    try:
        return parse_url(url)
    except Refused:
        return None
