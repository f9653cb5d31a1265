"""Roles, needs, the table between them, and restricted mode.

Every route of the API names its need; the console only explains what the server enforces.

``HOOKTUI_RESTRICTED=1`` is for a forced command of sshd, where hooktui is the only program that its
user can run: it starts no other program, reads and writes no files, and connects to no other
server. The server decides on the user's permissions, as always.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from hooktui.domain.errors import NotAllowed


class Role(StrEnum):
    """The role of a caller."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"
    PRODUCER = "producer"


class Need(StrEnum):
    """The permission that a call requires.

    ``operate`` is ping, resend, cancel, and enabling or disabling a hook (no other edit).
    """

    READ = "read"
    OPERATE = "operate"
    ADMINISTER = "administer"
    PRODUCE = "produce"


ALLOWED: Final[dict[Role, frozenset[Need]]] = {
    Role.VIEWER: frozenset({Need.READ}),
    Role.OPERATOR: frozenset({Need.READ, Need.OPERATE}),
    Role.ADMIN: frozenset(Need),
    # Separate from the others: a program that sends events need not read.
    Role.PRODUCER: frozenset({Need.PRODUCE}),
}
"""The whole table; anything else is not allowed."""

MAY: Final[dict[Role, str]] = {
    Role.VIEWER: "only look",
    Role.OPERATOR: "look, ping, resend, cancel, and enable or disable hooks",
    Role.ADMIN: "do everything",
    Role.PRODUCER: "only send events",
}
"""The permissions of each role, to follow the word "may"."""
_BY_POWER: Final = (Role.VIEWER, Role.PRODUCER, Role.OPERATOR, Role.ADMIN)


def allows(role: Role, need: Need) -> bool:
    """Return whether a role may do what a call needs."""
    return need in ALLOWED[role]


def is_lower(requested: Role, role: Role) -> bool:
    """Return whether ``requested`` has no permission that ``role`` lacks; true for equal roles.

    Viewer ≤ operator ≤ admin, producer ≤ admin; producer and operator are not comparable.
    """
    return ALLOWED[requested] <= ALLOWED[role]


def lower(role: Role, requested: Role) -> Role:
    """Return the role in which a request acts: that of ``Hooktui-Role``, unless it is higher.

    Raises:
        NotAllowed: the requested role has a permission that the caller lacks.
    """
    if not is_lower(requested, role):
        raise NotAllowed(
            f"a request may lower its role, never raise it: you are {role}, which does not include"
            f" {requested}"
        )
    return requested


def why_not(role: Role, need: Need) -> str:
    """Return one line that names the roles that have a permission, and one that lacks it."""
    *others, last = (able for able in _BY_POWER if allows(able, need))
    roles = f"{', '.join(others)} or {last}" if others else last
    return f"this needs the role {roles}; yours is {role}"


def require(role: Role, need: Need) -> None:
    """Check that a role has a permission.

    Raises:
        NotAllowed: with the line of `why_not`.
    """
    if not allows(role, need):
        raise NotAllowed(why_not(role, need))


VARIABLE: Final = "HOOKTUI_RESTRICTED"
_OFF: Final = ("", "0", "false", "no", "off")


def restricted(environ: Mapping[str, str]) -> bool:
    """Return whether an environment enables restricted mode; any value except "off" does."""
    return environ.get(VARIABLE, "").strip().lower() not in _OFF


def not_here(what: str) -> NotAllowed:
    """Return the refusal of an action, such as "reading a file"."""
    return NotAllowed(f"{what} is not possible here: this is a restricted hooktui ({VARIABLE})")


@dataclass(frozen=True, slots=True)
class Actor:
    """The user behind an action in the audit trail: name, role (None: has none), and origin."""

    user: str
    role: Role | None
    origin: str
