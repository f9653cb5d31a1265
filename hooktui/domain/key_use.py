"""Which keys an installation seals its secrets with, as told to admins: never a key itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyUse:
    """One key: whether it seals, whether it is here, and how many values it has sealed."""

    id: str
    seals: bool
    present: bool
    values: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """All keys, the newest first; ``place`` is what holds them."""

    place: str
    keys: tuple[KeyUse, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRotation:
    """What one call of a rotation did.

    Attributes:
        key: the key that seals now.
        made: whether it is new; False: a rotation that was begun before went on.
        sealed: how many values were sealed anew.
        left: how many are still sealed with other keys; call again.
        dropped: keys that nothing uses any more, and that are gone.
        kept: keys that nothing uses any more, and that are still there.
        place: what holds the keys.
    """

    key: str
    made: bool
    sealed: int
    left: int
    dropped: tuple[str, ...]
    kept: tuple[str, ...]
    place: str
