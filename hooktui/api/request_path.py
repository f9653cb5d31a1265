"""Refuses spellings of a path that programs could decode differently.

A proxy in front may authorize by path. So a path that it could read as another one than the server
does is refused: encoded separators and letters, dot segments, invalid escapes.
"""

from __future__ import annotations

import re
from typing import Final

from hooktui.domain.errors import Malformed

# RFC 3986, 2.4: unreserved characters never need an escape; some programs treat "/" and "\" as
# separators before decoding and some after it.
_ESCAPED: Final = re.compile(
    rb"%(?:2[fF]|5[cC]|2[dDeE]|3[0-9]|4[1-9a-fA-F]|5[0-9aAfF]|6[1-9a-fA-F]|7[0-9aAeE])"
)
_CONTROL: Final = re.compile(rb"%(?:[01][0-9a-fA-F]|7[fF])")
_NO_ESCAPE: Final = re.compile(rb"%(?![0-9a-fA-F]{2})")


def check_path(raw: bytes) -> None:
    """Check that all programs decode a path alike.

    Args:
        raw: the path as it was sent, without the query.

    Raises:
        Malformed: it is ambiguous; names the spelling.
    """
    if b"%" not in raw and b"\\" not in raw and b"/." not in b"/" + raw:
        return  # nearly all paths
    if b"%" in raw:
        for pattern, wrong in (
            (_ESCAPED, "hides a character that needs no escape; write the path out"),
            (_CONTROL, "is a control character"),
            (_NO_ESCAPE, "is not a percent-escape; write % as %25"),
        ):
            match = pattern.search(raw)
            if match is not None:
                spelling = raw[match.start() : match.start() + 3].decode("latin-1")
                raise Malformed(f"the path is not accepted: {spelling!r} {wrong}")
    if b"\\" in raw:
        raise Malformed("the path is not accepted: it contains a backslash; separate with /")
    if b"." in raw and not {b".", b".."}.isdisjoint(raw.split(b"/")):
        raise Malformed("the path is not accepted: it has . or .. segments; write it out")
