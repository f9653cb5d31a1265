"""Roles, needs, the table between them, and restricted mode.

Every route of the API names its need; the console only explains what the server enforces.

``HOOKTUI_RESTRICTED=1`` belongs in a forced command of sshd. The program is then all that its user
has of the machine: it starts no other program, reads and writes no files, and connects to no other
server. What the user may do there is decided by the server, as always.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from hooktui.domain.errors import NotAllowed

if TYPE_CHECKING:
    pass


class Role(StrEnum):
    """What a caller is to the server."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"
    PRODUCER = "producer"


class Need(StrEnum):
    """What a call asks of its caller.

    ``operate`` is ping, resend, cancel, and switching a hook on or off (nothing else of it).
    """

    READ = "read"
    OPERATE = "operate"
    ADMINISTER = "administer"
    PRODUCE = "produce"


ALLOWED: Final[dict[Role, frozenset[Need]]] = {
    Role.VIEWER: frozenset({Need.READ}),
    Role.OPERATOR: frozenset({Need.READ, Need.OPERATE}),
    Role.ADMIN: frozenset(Need),
    # Beside the others: a program that sends events needs to see nothing.
    Role.PRODUCER: frozenset({Need.PRODUCE}),
}
"""The whole table; what is not in it is not allowed."""

MAY: Final[dict[Role, str]] = {
    Role.VIEWER: "only look",
    Role.OPERATOR: "look, ping, resend, cancel, and enable or disable hooks",
    Role.ADMIN: "do everything",
    Role.PRODUCER: "only send events",
}
"""What each role may do, behind the word "may"."""
_NEEDED_FOR: Final[dict[Need, str]] = {
    Need.READ: "looking",
    Need.OPERATE: "pinging, resending, cancelling, enabling and disabling",
    Need.ADMINISTER: "changing hooks, secrets and tokens",
    Need.PRODUCE: "sending events",
}
_LEAST_FIRST: Final = (Role.VIEWER, Role.PRODUCER, Role.OPERATOR, Role.ADMIN)


def allows(role: Role, need: Need) -> bool:
    """Return whether a role may do what a call needs."""
    return need in ALLOWED[role]


def is_lower(wanted: Role, role: Role) -> bool:
    """Return whether ``wanted`` may do nothing that ``role`` may not; a role is lower than itself.

    Viewer ≤ operator ≤ admin, producer ≤ admin; producer and operator are beside each other.
    """
    return ALLOWED[wanted] <= ALLOWED[role]


def lower(role: Role, wanted: Role | None) -> Role:
    """Return the role that a request acts in: the wanted one, when that is no raise.

    Args:
        role: what the caller is.
        wanted: what the request asked for (``Hooktui-Role``), if anything.

    Raises:
        NotAllowed: the wanted role may do something that the caller may not.
    """
    if wanted is None:
        return role
    if not is_lower(wanted, role):
        raise NotAllowed(
            f"a request may lower its role, never raise it: you are {role}, and {wanted} is more"
        )
    return wanted


def why_not(role: Role, need: Need) -> str:
    """Return one line for people: why a role may not do this, and which role may.

    Meaningful where `allows` says no.
    """
    able = next(one for one in _LEAST_FIRST if allows(one, need))
    roles = able if able is Role.ADMIN else f"{able} or admin"
    return f"your role {role} may {MAY[role]}; {_NEEDED_FOR[need]} needs {roles}"


def require(role: Role, need: Need) -> None:
    """Refuse what a role may not do.

    Raises:
        NotAllowed: with the line of `why_not`.
    """
    if not allows(role, need):
        raise NotAllowed(why_not(role, need))


VARIABLE: Final = "HOOKTUI_RESTRICTED"
_OFF: Final = ("", "0", "false", "no", "off")


def restricted(environ: Mapping[str, str]) -> bool:
    """Return whether an environment confines its user; whatever does not say "off" does."""
    return environ.get(VARIABLE, "").strip().lower() not in _OFF


def not_here(what: str) -> NotAllowed:
    """Return the refusal of something, such as "reading a file"."""
    return NotAllowed(f"{what} is not possible here: this is a restricted hooktui ({VARIABLE})")


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something, for the audit trail: user, role (None: has none), and where from."""

    user: str
    role: Role | None
    origin: str
