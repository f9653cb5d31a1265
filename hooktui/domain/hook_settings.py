"""The settings of a hook and their checks.

The checks return every bad field at once, as JSON pointers with cause and fix, so that the API, the
command line and the console's form use the same texts.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from hooktui.domain.addresses import parse_url
from hooktui.domain.catalogue import normalise
from hooktui.domain.errors import FieldError, Refused, pointer
from hooktui.domain.filters.parser import parse_hook_filter
from hooktui.domain.hook_fields import HOOK_SETTINGS, BasicAuth, HookFields
from hooktui.domain.signatures import check_secret
from hooktui.domain.text import MASK, visible
from hooktui.domain.wire.events import Catalogue

MAX_HEADERS, MAX_HEADER_BYTES = 20, 4096
DEFAULT_OVERLAP_S, MAX_OVERLAP_S = 24 * 3600, 7 * 24 * 3600

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")  # RFC 9110, 5.6.2
_VISIBLE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?|")
_REFUSED_HEADERS = frozenset(
    [
        *("host", "connection", "content-length", "transfer-encoding", "te", "upgrade"),
        *("trailer", "expect", "keep-alive", "proxy"),
    ]
)
_REFUSED_PREFIXES = ("proxy-", "webhook-", "x-hook-")
_REPLACEABLE = frozenset({"content-type", "user-agent", "accept-encoding"})
"""Headers of ours that a hook's own ones replace, when they are spelled alike."""

# CGI (RFC 3875, 4.1.18) and its successors have one name for X-A and X_A; Apache's replaces every
# character except letters and digits.
_FOLDED = re.compile(r"[^0-9a-z]")
# Headers whose values are always kept like secrets.
_SENSITIVE = re.compile(
    r"authorization|cookie|token|secret|passw|api[^0-9a-z]?key|credential", re.I
)


@dataclass(frozen=True, slots=True)
class Credentials(BasicAuth):
    """User and password for HTTP basic authentication towards a receiver."""

    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class HookSettings(HookFields):
    """Everything about a hook that an admin sets, write-only values included."""

    basic_auth: Credentials | None = None


def check_settings(
    settings: HookSettings, catalogue: Catalogue, stored: HookSettings | None = None
) -> HookSettings:
    """Return the settings in their normal form (events in catalogue order, name filled in).

    ``stored`` are the settings that the hook has: a rule that came later, or an event type that
    left the catalogue, must not keep an operator from disabling it.

    Raises:
        Refused: with every bad field.
    """
    errors: list[FieldError] = []
    changes: dict[str, object] = {}
    try:
        target = parse_url(settings.url)
        if not settings.name.strip():
            changes["name"] = target.unicode_host
    except Refused as refused:
        errors += refused.errors
    if stored is None or not stored.events or settings.events != stored.events:
        try:
            changes["events"] = normalise(catalogue, settings.events)
        except Refused as refused:
            errors += refused.errors
    if settings.filter is not None:
        if settings.filter.strip():
            try:
                parse_hook_filter(settings.filter)
            except Refused as refused:
                errors.append(FieldError("/filter", refused.detail))
        else:
            changes["filter"] = None
    for name, setting in HOOK_SETTINGS.items():
        wrong = setting.check and setting.check(getattr(settings, name))
        if wrong:
            errors.append(FieldError(f"/{name}", wrong))
    if settings.max_in_flight is not None and settings.max_in_flight_cap is not None:
        wrong = "a cap is only for auto; leave it out, or set max_in_flight to null"
        errors.append(FieldError("/max_in_flight_cap", wrong))
    errors += check_headers(
        settings.headers,
        basic_auth=settings.basic_auth is not None,
        stored=() if stored is None else stored.headers,
    )
    errors += _check_credentials(settings.basic_auth)
    known = {name.lower() for name in settings.headers}
    if stored is not None:  # a header that is removed leaves its name here
        known |= {name.lower() for name in stored.headers}
    for index, name in enumerate(settings.sensitive_headers):
        if name.lower() not in known:
            wrong = f"{visible(name, limit=100)!r} is not a header of this hook"
            errors.append(FieldError(f"/sensitive_headers/{index}", wrong))
    if errors:
        raise Refused.fields(errors)
    changes["sensitive_headers"] = sensitive_names(settings.headers, settings.sensitive_headers)
    return replace(settings, **changes)  # type: ignore[arg-type]


def check_new_secret(secret: str | None) -> None:
    """Refuse a secret that an admin sets by hand.

    Raises:
        Refused: it is neither ``whsec_…`` nor a printable string of the right length.
    """
    wrong = None if secret is None else check_secret(secret)
    if wrong:
        raise Refused.field("/secret", wrong)


def check_overlap(overlap_s: float) -> None:
    """Refuse the overlap of a rotation that is out of range.

    Raises:
        Refused: not in 0 to 7 days.
    """
    if not 0 <= overlap_s <= MAX_OVERLAP_S:
        raise Refused.field("/overlap_s", "the overlap of a rotation is 0 s to 7 d")


def check_headers(
    headers: Mapping[str, str], *, basic_auth: bool = False, stored: Collection[str] = ()
) -> list[FieldError]:
    """Return what is wrong with custom headers (security rules: token names, visible ASCII).

    Args:
        headers: what is checked.
        basic_auth: whether the hook logs in with user and password.
        stored: names that the hook has already, which are not refused as those of hooktui.
    """
    errors = []
    if len(headers) > MAX_HEADERS:
        errors.append(
            FieldError("/headers", f"at most {MAX_HEADERS} headers, these are {len(headers)}")
        )
    seen: dict[str, str] = {}
    for name, value in headers.items():
        lower = name.lower()
        folded = _FOLDED.sub("-", lower)
        read_as = f"may be read as {folded[:100]!r}"
        wrong = None
        if not _TOKEN.fullmatch(name):
            wrong = "is not a header name"
        elif name not in stored and _is_ours(folded):
            wrong = "is set by hooktui or by the connection itself; choose another name"
            if folded != lower:
                wrong = f"{read_as}, which {wrong}"
        elif name not in stored and folded in _REPLACEABLE and folded != lower:
            wrong = f"{read_as}; write it so, or choose another name"
        elif lower == "authorization" and basic_auth:
            wrong = "is already set by basic_auth; use one of the two"
        elif seen.get(folded) == lower:
            wrong = "is there twice (header names ignore case)"
        elif folded in seen and name not in stored:
            wrong = (
                f"may be read as {seen[folded][:100]!r}, which is there too; choose another name"
            )
        elif not _VISIBLE.fullmatch(value):
            wrong = (
                "has a value with characters other than visible ASCII, or with spaces at its ends"
            )
        elif len(value) > MAX_HEADER_BYTES:
            wrong = f"has a value of over {MAX_HEADER_BYTES} bytes"
        seen[folded] = lower
        if wrong:
            errors.append(FieldError(header_pointer(name), f"header {name[:100]!r} {wrong}"))
    return errors


def _is_ours(folded: str) -> bool:
    return folded in _REFUSED_HEADERS or folded.startswith(_REFUSED_PREFIXES)


def header_pointer(name: str) -> str:
    """Return the JSON pointer to a header of a hook (RFC 6901)."""
    return pointer(["headers", name])


def sensitive_names(headers: Mapping[str, str], named: Iterable[str]) -> tuple[str, ...]:
    """Return the headers whose values are kept like secrets: those named, and the usual ones."""
    lowered = {name.lower() for name in named}
    return tuple(n for n in headers if n.lower() in lowered or _SENSITIVE.search(n))


def masked_headers(headers: Mapping[str, str], sensitive: Sequence[str]) -> dict[str, str]:
    """Return headers as they may be shown; header names ignore case."""
    hidden = {name.lower() for name in sensitive}
    return {name: MASK if name.lower() in hidden else value for name, value in headers.items()}


def unmasked_headers(headers: Mapping[str, str], before: Mapping[str, str]) -> Mapping[str, str]:
    """Return edited headers with each ``***`` replaced by the value that is stored.

    Raises:
        Refused: a value is ``***`` and nothing is stored under that name.
    """
    stored = {name.lower(): value for name, value in before.items()}
    for name, value in headers.items():
        if value == MASK and name.lower() not in stored:
            raise Refused.field(
                header_pointer(name),
                f"header {name[:100]!r} is new; give its value instead of {MASK}",
            )
    return {
        name: stored[name.lower()] if value == MASK else value for name, value in headers.items()
    }


def _check_credentials(credentials: Credentials | None) -> list[FieldError]:
    if credentials is None:
        return []
    errors = []
    if not credentials.user or ":" in credentials.user or len(credentials.user) > 256:
        wrong = "the user of basic auth must have 1 to 256 characters, and no colon"
        errors.append(FieldError("/basic_auth/user", wrong))
    if len(credentials.password) > 1024:
        errors.append(FieldError("/basic_auth/password", "a password has at most 1024 characters"))
    text = credentials.user + credentials.password
    if any(ord(c) < 32 or ord(c) == 127 for c in text):
        wrong = "user and password of basic auth must not have control characters"
        errors.append(FieldError("/basic_auth", wrong))
    return errors
