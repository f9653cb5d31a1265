"""A hook's form as it is typed: texts to settings, settings to texts, and what is sent to save it.

No widget here. The checks are those of ``domain.hook_settings``; only text (durations, numbers,
header lines) is parsed here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Final, TypeVar

from hooktui.domain.clock import format_duration, parse_duration_s
from hooktui.domain.errors import FieldError, Refused
from hooktui.domain.hook_edits import kept_headers, same_origin
from hooktui.domain.hook_settings import Credentials, HookSettings, check_settings, sensitive_names
from hooktui.domain.schedule import DEFAULT_SCHEDULE_S, parse_schedule
from hooktui.domain.text import MASK
from hooktui.domain.wire.events import Catalogue
from hooktui.domain.wire.hooks import Hook

T = TypeVar("T")

SENSITIVE_PREFIX: Final = "secret "
"""Before a header line: its value is kept like a secret. No header name holds a space."""


@dataclass(frozen=True, slots=True)
class FormValues:
    """What stands in the fields of the form."""

    url: str = ""
    name: str = ""
    events: tuple[str, ...] = ()
    active: bool = True
    headers: str = field(default="", repr=False)
    user: str = ""
    password: str = field(default="", repr=False)
    signature_hash: str = "sha256"
    verify_tls: bool = True
    timeout: str = "30s"
    schedule: str = ""
    rate: str = ""
    in_flight: str = "10"
    ordered: bool = False
    filter: str = ""


def new_values() -> FormValues:
    """Return the form of a new hook: the contract's defaults."""
    return FormValues(schedule=schedule_text(DEFAULT_SCHEDULE_S))


def values_of(hook: Hook) -> FormValues:
    """Return the form of a hook that exists; sensitive values are ``***``, the password empty."""
    lines = [
        f"{SENSITIVE_PREFIX if name in hook.sensitive_headers else ''}{name}: {value}"
        for name, value in hook.headers.items()
    ]
    return FormValues(
        url=hook.url,
        name=hook.name,
        events=hook.events,
        active=hook.active,
        headers="\n".join(lines),
        user=hook.basic_auth.user if hook.basic_auth else "",
        signature_hash=hook.signature_hash,
        verify_tls=hook.verify_tls,
        timeout=duration_text(hook.timeout_s),
        schedule=schedule_text(hook.retry_schedule_s),
        rate="" if hook.rate_per_s is None else f"{hook.rate_per_s:g}",
        in_flight=str(hook.max_in_flight),
        ordered=hook.ordered,
        filter=hook.filter or "",
    )


def duration_text(seconds: float) -> str:
    """Return a duration as one number with a unit, exactly: ``90m``, ``2h``, ``0.5s``."""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"


def schedule_text(schedule_s: Sequence[float]) -> str:
    """Return the waits of a schedule as they are typed: ``5s, 5m, 30m``."""
    return ", ".join(duration_text(wait_s) for wait_s in schedule_s)


def read(values: FormValues, catalogue: Catalogue) -> tuple[HookSettings, list[FieldError]]:
    """Return the settings that are typed and everything that is wrong with them.

    Where a text cannot be read its default stands in the settings, and an error says so.
    """
    errors: list[FieldError] = []

    def reading(pointer: str, parse: Callable[[str], T], text: str, default: T) -> T:
        try:
            return parse(text.strip())
        except ValueError as error:
            errors.append(FieldError(pointer, str(error)))
            return default

    headers, sensitive = _read_headers(values.headers, errors)
    credentials = None
    if values.user or values.password:
        credentials = Credentials(values.user, values.password)
    settings = HookSettings(
        url=values.url.strip(),
        name=values.name.strip(),
        events=values.events,
        active=values.active,
        headers=headers,
        sensitive_headers=sensitive_names(headers, sensitive),
        basic_auth=credentials,
        signature_hash=values.signature_hash,
        verify_tls=values.verify_tls,
        timeout_s=reading("/timeout_s", parse_duration_s, values.timeout, 30.0),
        retry_schedule_s=reading(
            "/retry_schedule_s", parse_schedule, values.schedule, DEFAULT_SCHEDULE_S
        ),
        rate_per_s=reading("/rate_per_s", _rate, values.rate, None),
        max_in_flight=reading("/max_in_flight", _whole_number, values.in_flight, 10),
        ordered=values.ordered,
        filter=values.filter.strip() or None,
    )
    try:
        settings = check_settings(settings, catalogue)
    except Refused as refused:
        errors += refused.errors
    return settings, errors


def _rate(text: str) -> float | None:
    if not text or text == "-":
        return None
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a number; leave it empty for no limit") from None


def _whole_number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{text!r} is not a whole number; write one from 1 to 1000")
    return int(text[:9])


def _read_headers(text: str, errors: list[FieldError]) -> tuple[dict[str, str], tuple[str, ...]]:
    headers: dict[str, str] = {}
    sensitive = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        name, colon, value = line.strip().partition(":")
        if name.startswith(SENSITIVE_PREFIX):
            name = name.removeprefix(SENSITIVE_PREFIX).lstrip()
            sensitive.append(name)
        if not colon:
            # The line itself is not repeated: it may hold a secret.
            errors.append(FieldError("/headers", f"line {number} has no colon; write Name: value"))
        elif name in headers:
            errors.append(FieldError("/headers", f"line {number}: {name[:100]!r} stands twice"))
        else:
            headers[name] = value.strip()
    return headers, tuple(sensitive)


def creation(settings: HookSettings) -> dict[str, object]:
    """Return the fields of ``POST /v1/hooks`` for a new hook."""
    made = {one: _sent(settings, one) for one in _SENT}
    return {"type": settings.type, **made}


def changes(
    before: FormValues, now: FormValues, catalogue: Catalogue
) -> tuple[dict[str, object], list[FieldError]]:
    """Return the fields of ``PATCH /v1/hooks/{id}`` (without ``version``) that an edit changed.

    Errors are those of the changed fields only: a hook that was made when other rules held (an
    event type that is gone, say) can still be renamed.
    """
    settings, errors = read(now, catalogue)
    changed = {
        pointer
        for pointer, names in _SENT.items()
        if any(getattr(before, name) != getattr(now, name) for name in names)
    }
    fields_sent = {one: _sent(settings, one) for one in _SENT if one in changed}
    if "headers" in fields_sent:
        fields_sent["sensitive_headers"] = list(settings.sensitive_headers)
    if "basic_auth" in fields_sent and now.user and not now.password:
        fields_sent["basic_auth"] = {"user": now.user, "password": MASK}
    blamed = [error for error in errors if top_field(error.pointer) in changed]
    return fields_sent, blamed


def asked_again(before: FormValues, now: FormValues, catalogue: Catalogue) -> list[FieldError]:
    """Return which write-only values must be typed again, at their fields.

    A stored value stays secret and is not sent to another server (``domain.hook_edits``).
    """
    (was, _), (will, wrong) = read(before, catalogue), read(now, catalogue)
    given = {name.lower() for name, value in will.headers.items() if value != MASK}
    kept = kept_headers(was, will, given)
    hidden = {name.lower() for name in will.sensitive_headers}
    moved = not same_origin(was, will) and not any(one.pointer == "/url" for one in wrong)
    asked = []
    if moved and kept:
        asked.append(FieldError("/headers", _type_again(", ".join(kept), _NOT_SENT)))
    elif shown := [name for name in kept if name.lower() not in hidden]:
        asked.append(FieldError("/headers", _type_again(", ".join(shown), "stays secret")))
    if moved and was.basic_auth and will.basic_auth and now.password in ("", MASK):
        asked.append(FieldError("/basic_auth/password", _type_again("the password", _NOT_SENT)))
    return asked


_NOT_SENT: Final = "is not sent to another server"


def _type_again(what: str, why: str) -> str:
    return f"type {what} again: a stored value {why}"


# What is sent under which name, and the fields of the form that it comes from.
_SENT: Final[dict[str, tuple[str, ...]]] = {
    "url": ("url",),
    "name": ("name",),
    "events": ("events",),
    "active": ("active",),
    "headers": ("headers",),
    "sensitive_headers": ("headers",),
    "basic_auth": ("user", "password"),
    "signature_hash": ("signature_hash",),
    "verify_tls": ("verify_tls",),
    "timeout_s": ("timeout",),
    "retry_schedule_s": ("schedule",),
    "rate_per_s": ("rate",),
    "max_in_flight": ("in_flight",),
    "ordered": ("ordered",),
    "filter": ("filter",),
}


def top_field(pointer: str) -> str:
    """Return the field of the hook object that an error's pointer means."""
    return pointer.strip("/").partition("/")[0]


def form_field(pointer: str) -> str | None:
    """Return the (first) field of the form that an error's pointer means, if it has one."""
    names = _SENT.get(top_field(pointer))
    if names is None:
        return None
    return names[-1] if pointer.endswith("/password") else names[0]


def _sent(settings: HookSettings, name: str) -> object:
    if name == "basic_auth":
        auth = settings.basic_auth
        return None if auth is None else {"user": auth.user, "password": auth.password}
    value = getattr(settings, name)
    if isinstance(value, tuple):
        return list(value)
    return dict(value) if name == "headers" else value


def rebased(before: FormValues, mine: FormValues, theirs: FormValues) -> FormValues:
    """Return what another admin saved meanwhile, with everything that was typed here on top."""
    return replace(theirs, **{name: getattr(mine, name) for name in _differing(before, mine)})


def both_changed(before: FormValues, mine: FormValues, theirs: FormValues) -> list[str]:
    """Return the fields that were changed here and, to something else, by the other admin."""
    others = set(_differing(before, theirs))
    return [
        name
        for name in _differing(before, mine)
        if name in others and getattr(mine, name) != getattr(theirs, name)
    ]


def _differing(one: FormValues, other: FormValues) -> list[str]:
    return [f.name for f in fields(FormValues) if getattr(one, f.name) != getattr(other, f.name)]


def more_in_words(values: FormValues) -> str:
    """Return in short how the folded settings differ from a new hook's."""
    usual = new_values()
    words = []
    count = sum(1 for line in values.headers.splitlines() if line.strip())
    if count:
        words.append(f"{count} header{'s' if count > 1 else ''}")
    if values.user:
        words.append("basic auth")
    if values.signature_hash != usual.signature_hash:
        words.append(values.signature_hash)
    if not values.verify_tls:
        words.append("TLS not verified")
    if values.timeout != usual.timeout:
        words.append(f"at most {values.timeout}")
    if values.schedule != usual.schedule:
        words.append("own retries" if values.schedule.strip() else "no retries")
    if values.rate:
        words.append(f"{values.rate}/s")
    if values.in_flight != usual.in_flight:
        words.append(f"{values.in_flight} at once")
    if values.ordered:
        words.append("in order")
    if values.filter.strip():
        words.append("filtered")
    return ", ".join(words) or "headers, auth, signature, TLS, retries, rate: all as usual"


def total_in_words(schedule_s: Sequence[float]) -> str:
    """Return how many attempts a schedule makes and in what time."""
    if not schedule_s:
        return "1 attempt, no retries"
    return f"{len(schedule_s) + 1} attempts in {format_duration(sum(schedule_s))}"
