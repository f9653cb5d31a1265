"""Restricted mode: what a hooktui that somebody is confined to must not do for them.

``HOOKTUI_RESTRICTED=1`` belongs into a forced command of sshd. The program is then all that its
user has of the machine, so it starts no other program, reads and writes no files, and goes to no
other server. What the server lets them do is decided there, as always.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hooktui.domain.errors import NotAllowed

VARIABLE: Final = "HOOKTUI_RESTRICTED"
_OFF: Final = ("", "0", "false", "no", "off")


def restricted(environ: Mapping[str, str]) -> bool:
    """Return whether an environment confines its user; whatever does not say "off" does."""
    return environ.get(VARIABLE, "").strip().lower() not in _OFF


def not_here(what: str) -> NotAllowed:
    """Return the refusal of something, such as "reading a file"."""
    return NotAllowed(f"{what} is not possible here: this is a restricted hooktui ({VARIABLE})")
