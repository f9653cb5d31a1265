"""Makes untrusted text safe to show: text of receivers, producers and admins has no side effects.

Terminals interpret control characters, and invisible ones mislead people. All text for people goes
through `visible`: console, command line, logs, CSV and error messages.
"""

from __future__ import annotations

import re
import unicodedata

MAX_MARKS = 3
"""Combining marks on one base character; real scripts need no more, stacks of them hide lines."""

ELLIPSIS = "…"

_LOOKED_AT = 8
"""Characters that are read for each one that may be shown; excess marks are not shown."""

# Printable text without these (no arrow, box or Latin letter is among them) needs no full check.
_MAY_STACK_OR_HIDE = re.compile(r"[\u0300-\u1fff\u20d0-\u20ff\u2800\u2c00-\U0010ffff]")
_NOT_PLAIN = re.compile(r"[^ -~]+")
_NOT_PLAIN_IN_LINES = re.compile(r"[^ -~\n\t]+")
# Format characters (bidi, zero-width, tags), surrogates, characters unknown to Unicode 14 (of
# unknown width), the two separators that some programs treat as line breaks, and every blank except
# the usual one: two names that differ in a blank must not look alike.
_ESCAPED = frozenset({"Cf", "Cs", "Cn", "Zl", "Zp", "Zs"})
# Default_Ignorable_Code_Point of other categories: drawn as nothing, or as a blank.
_IGNORABLE = frozenset(
    {0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180F, 0x3164, 0xFFA0}
    | set(range(0xFE00, 0xFE10))
)
# Letters and symbols that are drawn as a blank: the empty Braille pattern, the null notehead, the
# ideographic half fill space, the fillers of Khitan, the blanks of Egyptian hieroglyphs.
_BLANK = frozenset({0x2800, 0x303F, 0x16FE4, 0x1D159, 0x13441, 0x13442})
_INVISIBLE = _IGNORABLE | _BLANK
_VARIATION_SELECTORS_SUPPLEMENT = range(0xE0100, 0xE01F0)
_JOINING_JAMO = (range(0x1160, 0x1200), range(0xD7B0, 0xD800))

# Blocks of Unicode 14 that hold letters written from right to left, and Arabic digits.
_RTL = "\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff\U00010800-\U00010fff\U0001e800-\U0001efff"
_HAS_RTL = re.compile(f"[{_RTL}]")
# The first blank of a line, and the first one after each letter except a single one between two.
_BLANK_THAT_MOVES = re.compile(f"(^[^{_RTL} ]*|[{_RTL}](?:[^{_RTL} ]+|(?! [{_RTL}]))) ")
_BLANK_THAT_STAYS = "\u2800"
"""Drawn like U+0020 and as wide, but a strong left-to-right character (decision 0083)."""


def visible(text: str | bytes, *, lines: bool = False, limit: int | None = None) -> str:
    r"""Return text that can be shown anywhere: all of it is visible and none has side effects.

    Printable ASCII and ordinary Unicode stay as they are. C0 controls become their pictures
    (``␛``), DEL ``␡``, C1 controls and invalid UTF-8 ``\x9b``; bidi, zero-width, tag and other
    invisible characters, blanks other than U+0020, line and paragraph separators and lone
    surrogates become ``\u{202e}``. More than three combining marks on a character are replaced by
    ``…``; a mark without a base character becomes ``\u{301}``.

    It is idempotent, but not reversible: a backslash stays a backslash.

    Args:
        text: anything; bytes are decoded as UTF-8.
        lines: keep line breaks (LF) and tabs, for multi-line display.
        limit: maximum characters (of each line, with ``lines``), including the closing ``…``.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "backslashreplace")
    if limit is not None and not lines and len(text) > limit * _LOOKED_AT:
        # The rest is not processed, because its length is the sender's choice.
        text = visible(text[: limit * _LOOKED_AT], limit=limit)
        return text if text.endswith(ELLIPSIS) else cut(text + ELLIPSIS, limit)
    if not text.isprintable() or (not text.isascii() and _MAY_STACK_OR_HIDE.search(text)):
        text = (_NOT_PLAIN_IN_LINES if lines else _NOT_PLAIN).sub(_show_run, text)
    if limit is None or len(text) <= limit:
        return text
    if lines:
        return "\n".join(cut(line, limit) for line in text.split("\n"))
    return cut(text, limit)


def keep_order(line: str) -> str:
    """Return an escaped line whose parts a terminal with bidirectional text leaves in their order.

    Such a terminal moves right-to-left text together with the digits and punctuation after it, up
    to the next left-to-right letter. Here it ends at the first blank, which is replaced by U+2800.
    Words of a text with single blanks between them stay together. The width does not change.
    """
    if line.isascii() or not _HAS_RTL.search(line):
        return line
    return _BLANK_THAT_MOVES.sub(rf"\1{_BLANK_THAT_STAYS}", line)


def cut(line: str, limit: int) -> str:
    """Return a line of at most ``limit`` characters, with ``…`` at its end if it was longer."""
    if len(line) <= limit:
        return line
    return line[: limit - 1] + ELLIPSIS if limit > 0 else ""


def _show_run(match: re.Match[str]) -> str:
    """Return the visible form of a run of characters that are not plain ASCII."""
    start = match.start()
    has_base = start > 0 and match.string[start - 1] not in "\n\t"
    marks = 0
    shown: list[str] = []
    for letter in match[0]:
        escaped = _escaped(letter)
        if escaped is None and _is_mark(letter) and has_base:
            marks += 1
            if marks <= MAX_MARKS:
                shown.append(letter)
            elif marks == MAX_MARKS + 1:
                shown.append(ELLIPSIS)
            continue
        if escaped is None and _is_mark(letter):
            escaped = f"\\u{{{ord(letter):x}}}"
        shown.append(escaped or letter)
        has_base, marks = True, 0
    return "".join(shown)


def _escaped(letter: str) -> str | None:
    """Return the replacement of a character that must not be shown as it is, else None."""
    code = ord(letter)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    if 0x80 <= code < 0xA0:
        return f"\\x{code:02x}"
    if 0xDC80 <= code <= 0xDCFF:  # an undecodable byte (surrogateescape)
        return f"\\x{code - 0xDC00:02x}"
    if (
        unicodedata.category(letter) in _ESCAPED
        or code in _INVISIBLE
        or code in _VARIATION_SELECTORS_SUPPLEMENT
    ):
        return f"\\u{{{code:x}}}"
    return None


def _is_mark(letter: str) -> bool:
    # Unicode treats medial and final jamo as letters; terminals draw them onto the letter before.
    return unicodedata.category(letter).startswith("M") or any(
        ord(letter) in jamo for jamo in _JOINING_JAMO
    )


MASK = "***"
"""Replaces a sensitive value wherever one is shown."""


_OPENSSL_CODE = re.compile(r"^\[[^]]*\] | \(\w+\.c:\d+\)$")


def tls_reason(error: Exception) -> str:
    """Return the text of an ``ssl.SSLError`` without OpenSSL's name and the place in Python."""
    return _OPENSSL_CODE.sub("", str(error))


def in_bytes(count: int) -> str:
    """Return a readable size, such as 3.1 MB."""
    size = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def decimal_text(number: float) -> str:
    """Return a number as people type it, with all its digits: ``1001``, ``0.5``, ``0.00001``."""
    text = f"{number:.15g}"
    return f"{number:.15f}".rstrip("0") if "e-" in text else text


def number_text(number: float) -> str:
    """Return a number for people to read: `decimal_text`, with thousands separated: ``1,001``."""
    text = decimal_text(number)
    whole = text.partition(".")[0].lstrip("-")
    return f"{number:,.15g}" if len(whole) > 3 and whole.isdecimal() else text


def counted(number: int, noun: str) -> str:
    """Return ``1 hook``, ``3 hooks``, ``2 deliveries``."""
    if number == 1:
        return f"1 {noun}"
    has_ies = noun.endswith("y") and noun[-2] not in "aeiou"
    plural = noun[:-1] + "ies" if has_ies else noun + "s"
    return f"{number:,} {plural}"
