"""Which spellings of a path are taken: those that every program on the way reads alike.

A proxy in front may decide by the path who may call what. So a path that it could read as another
one than we do is refused: encoded separators and letters, dot segments, escapes that are none.
"""

from __future__ import annotations

import re
from typing import Final

from hooktui.domain.errors import Malformed

# RFC 3986, 2.4: unreserved characters never need an escape; "/" and "\" are read as separators by
# some programs before they are decoded and by some after that.
_ESCAPED: Final = re.compile(
    rb"%(?:2[fF]|5[cC]|2[dDeE]|3[0-9]|4[1-9a-fA-F]|5[0-9aAfF]|6[1-9a-fA-F]|7[0-9aAeE])"
)
_CONTROL: Final = re.compile(rb"%(?:[01][0-9a-fA-F]|7[fF])")
_NO_ESCAPE: Final = re.compile(rb"%(?![0-9a-fA-F]{2})")

_ODD: Final = re.compile(rb"[%\\]|(?:^|/)\.{1,2}(?:/|$)")
"""What nearly no path holds; the rest is looked at only then."""


def check_path(raw: bytes) -> None:
    """Refuse a path that two programs could read differently.

    Args:
        raw: the path as it was sent, without the query.

    Raises:
        Malformed: it names the spelling.
    """
    if not _ODD.search(raw):
        return
    if b"%" in raw:
        for pattern, wrong in (
            (_ESCAPED, "hides a character that needs no escape; write the path out"),
            (_CONTROL, "is a control character"),
            (_NO_ESCAPE, "is not a percent-escape; write % as %25"),
        ):
            found = pattern.search(raw)
            if found is not None:
                spelling = raw[found.start() : found.start() + 3].decode("latin-1")
                raise Malformed(f"the path is not taken: {spelling!r} {wrong}")
    if b"\\" in raw:
        raise Malformed("the path is not taken: it holds a backslash; separate with /")
    if b"." in raw and not {b".", b".."}.isdisjoint(raw.split(b"/")):
        raise Malformed("the path is not taken: it holds . or .. segments; write the path out")
