"""Texts of tokens: the columns of their list, what roles may do, and the validation of the form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hooktui.console.formatting import ago, moment
from hooktui.console.widgets.styled import StyledLine, StyleName
from hooktui.console.widgets.table import Column
from hooktui.domain.clock import from_rfc3339, parse_duration_s, to_rfc3339
from hooktui.domain.hook_fields import check_name
from hooktui.domain.roles import MAY, Role
from hooktui.domain.wire.access import Token

ROLES: Final = (Role.VIEWER, Role.OPERATOR, Role.PRODUCER, Role.ADMIN)
"""Roles in the order of the form: the one that can do the least harm first."""


def token_columns(clock: Callable[[], int]) -> tuple[Column[Token], ...]:
    """Return the columns; tokens that have expired or expire within a day are highlighted."""

    def expires(token: Token) -> StyledLine:
        if token.expires_at is None:
            return (("never", "quiet"),)
        left_ms = from_rfc3339(token.expires_at) - clock()
        if left_ms <= 0:
            return (("expired", "bad"),)
        tone: StyleName = "warn" if left_ms < 86_400_000 else "plain"
        return ((moment(token.expires_at, clock()), tone),)

    def used(token: Token) -> StyledLine:
        if token.last_used_at is None:
            return (("never", "quiet"),)
        return ((ago(token.last_used_at, clock()), "plain"),)

    def account(token: Token) -> StyledLine:
        return (("all", "quiet"),) if token.account is None else ((str(token.account), "plain"),)

    return (
        Column(name="id", cell=lambda t: str(t.id), tone="quiet", width=5, align="right",
               priority=1, sort="id"),
        Column(name="name", cell=lambda t: t.name, width=16, grow=3, max_width=50, priority=0,
               sort="name"),
        Column(name="role", cell=lambda t: t.role, width=8, priority=0),
        Column(name="account", cell=account, width=7, priority=1),
        Column(name="expires", cell=expires, width=16, priority=0),
        Column(name="used", cell=used, width=6, align="right", priority=1),
        Column(name="created", cell=lambda t: ago(t.created_at, clock()), tone="quiet", width=7,
               align="right", priority=2),
        Column(name="may", cell=lambda t: _may(t.role), tone="quiet", width=20, grow=4,
               max_width=60, priority=3),
    )  # fmt: skip


def _may(role: str) -> str:
    return MAY[Role(role)] if role in tuple(Role) else ""


def role_words(role: str) -> str:
    """Return a phrase with the permissions of a role, or with the name of an unknown role."""
    return f"may {_may(role)}" if _may(role) else f"has the role {role}"


def read_token(
    name: str, role: Role, account: int | None, expires: str, now_ms: int
) -> tuple[dict[str, object], dict[str, str]]:
    """Return the API fields of a new token, and an error for each invalid field of the form.

    ``account`` is None for all accounts; ``expires`` is ``30d``, an RFC 3339 time, or empty for
    never.
    """
    fields: dict[str, object] = {"name": name.strip(), "role": role.value}
    wrong: dict[str, str] = {}
    if account is not None:
        fields["account"] = account
    needed = "" if name.strip() else "enter the person or program that uses it"
    error = check_name(name.strip()) or needed
    if error:
        wrong["name"] = error
    if expires.strip():
        try:
            ends_ms = _end(expires.strip(), now_ms)
        except ValueError:
            wrong["expires"] = "enter a duration such as 30d, or a time: 2027-01-31T12:00:00Z"
        else:
            fields["expires_at"] = to_rfc3339(ends_ms)
            if ends_ms <= now_ms:
                wrong["expires"] = "this time is in the past"
    return fields, wrong


def _end(text: str, now_ms: int) -> int:
    """Return the time in milliseconds that a duration from now or an RFC 3339 text means.

    Raises:
        ValueError: it is neither, or the time is beyond the range of dates.
    """
    try:
        span_s = parse_duration_s(text, bare="")
    except ValueError:
        return from_rfc3339(text)
    ends_ms = now_ms + round(span_s * 1000)
    to_rfc3339(ends_ms)
    return ends_ms
