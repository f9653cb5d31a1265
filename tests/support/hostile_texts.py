"""The corpus: what somebody writes who wants a terminal, a widget or a format string to act.

Used wherever text can come from. A text is written with escapes, so that this file itself is safe
to show.
"""

from __future__ import annotations

TEXTS: dict[str, str] = {
    # what a terminal obeys
    "esc alone": "\x1b",
    "colour": "\x1b[31;1mred\x1b[0m",
    "colour with colons": "\x1b[38:2::255:0:0mred",
    "clear screen": "\x1b[2J\x1b[H\x1b[3J",
    "reset": "\x1bc",
    "alternate screen": "\x1b[?1049l\x1b[?25h",
    "cursor up and rewrite": "\x1b[5A\x1b[2Kall is well",
    "mouse on": "\x1b[?1003h\x1b[?1006h",
    "title": "\x1b]0;owned\x07",
    "title ended by st": "\x1b]2;owned\x1b\\",
    "link": "\x1b]8;;https://evil.example/\x1b\\click\x1b]8;;\x1b\\",
    "clipboard": "\x1b]52;c;aGFja2Vk\x07",
    "clipboard asked": "\x1b]52;c;?\x07",
    "palette": "\x1b]4;1;rgb:00/00/00\x07\x1b]10;?\x07\x1b]104\x07",
    "notification": "\x1b]9;owned\x07\x1b]777;notify;a;b\x07\x1b]1337;File=:AAAA\x07",
    "tmux passthrough": "\x1bPtmux;\x1b\x1b]52;c;aGFja2Vk\x07\x1b\\",
    "sixel": "\x1bPq#0;2;0;0;0#0~~@@vv@@~~$-\x1b\\",
    "kitty picture": "\x1b_Gf=100,a=T;AAAA\x1b\\",
    "pm and sos": "\x1b^private\x1b\\\x1bXstring\x1b\\",
    "unended osc": "\x1b]0;everything after this is swallowed",
    "unended dcs": "\x1bP1$r",
    "device attributes asked": "\x1b[c\x1b[>c\x1b[=c\x1bZ",
    "status asked": "\x1b[5n\x1b[6n\x1b[?6n",
    "setting asked": "\x1bP$qm\x1b\\\x1bP+q544e\x1b\\",
    "window asked": "\x1b[21t\x1b[18t\x1b[8;1;1t",
    "mode asked": "\x1b[?2026$p\x1b[>0q",
    "answerback": "\x05",
    "charset": "\x1b(0lqqk\x1b(B\x0e\x0f",
    "scroll region": "\x1b[1;1r\x1b[?6h",
    "insert and keyboard": "\x1b[4h\x1b[2h\x1b=\x1b>",
    "soft reset": "\x1b[!p\x1b#8",
    "c1 csi": "\x9b31mred\x9b0m",
    "c1 osc": "\x9d0;owned\x9c",
    "c1 dcs and apc": "\x90q\x9c\x9fG\x9c\x9e^\x9c\x98X\x9c",
    "c1 nel and index": "a\x85b\x84c\x8dd\x8ee",
    "c1 all": "".join(map(chr, range(0x80, 0xA0))),
    "c0 all": "".join(map(chr, range(0x20))),
    "nul": "a\x00b",
    "bell": "\x07\x07",
    "backspace": "sure\b\b\b\bevil",
    "delete": "a\x7fb\x7f",
    "carriage return": "evil.example is down\rall is well           ",
    "line breaks": "one\ntwo\r\nthree\x0bfour\x0cfive",
    "tab": "a\tb\t\tc",
    "substitute": "\x18\x1a\x1b\x18[31m",
    "split escape": "\x1b" + "[31mred",
    # what fools a reader
    "bidi override": "abc\u202egnp.exe\u202c",
    "bidi isolate": "\u2066a\u2067b\u2068c\u2069",
    "bidi marks": "a\u200eb\u200fc\u061cd",
    "zero width": "ad\u200bm\u200ci\u200dn\u2060\ufeff",
    "tags": "a\U000e0001\U000e0068\U000e0069\U000e007fb",
    "variation selectors": "a\ufe0fb\ufe0ec\U000e0100d\u180be",
    "soft hyphen": "ad\xadmin",
    "invisible letters": "a\u115fb\u1160c\u3164d\uffa0e\u034ff\u17b4g",
    "other blanks": "a\xa0b\u2003c\u3000d\u2800e\u303ff",
    "separators": "a\u2028b\u2029c",
    "interlinear": "\ufff9a\ufffab\ufffb",
    "musical controls": "a\U0001d173b\U0001d17ac",
    "shorthand controls": "a\U0001bca0b\U0001bca3c",
    "combining storm": "Z" + "\u0301\u0334\u0489\u20dd" * 60 + "algo",
    "lone mark": "\u0301\u0301a",
    "jamo storm": "\u1112" + "\u1161" * 40,
    "indic marks": "\u0915" + "\u094d\u0941" * 20,
    "wide": "\u4f8b\u3048\uff21" * 9,
    "emoji": "\U0001f4a9\U0001f468\u200d\U0001f469\u200d\U0001f467\U0001f1e6\U0001f1f9\u2764\ufe0f",
    "keycap": "1\ufe0f\u20e3#\u20e3",
    "ambiguous": "\u25b6\u2605\u00a1\u2014\u2191\u2460",
    "long ligature": "\ufdfd\u0bf5\U00012031",
    "private use": "\ue000\ue0b0\U000f0000",
    "no characters": "\ufffe\uffff\U0001fffe\U0010ffff\u0378",
    "lone surrogates": "\ud800a\udfff\udc9b31m",
    "swapped surrogates": "\udc00\ud800",
    "replacement": "\ufffd",
    # what a library takes for its own
    "closing markup": "[/b][/][/nope]",
    "click": "[@click=app.quit]quit[/]",
    "click with quotes": "[@click=\"app.open_url('https://evil.example')\"]x[/]",
    "link markup": "[link=https://evil.example]x[/link]",
    "style markup": "[bold red on blue]x[/bold red on blue][reverse]",
    "rich emoji": ":skull: :warning:",
    "escaped bracket": "\\[b]x\\",
    "open bracket": "[b",
    "trailing backslash": "a\\",
    "json in brackets": '["a", {"b": [null]}]',
    "variable": "$primary $(id) ${HOME} `id` %HOME%",
    "textual tcss": "{ display: none; } /* */",
    "percent": "%s%d%n%(x)s%%%",
    "braces": "{}{0}{x!r}{0.__class__}{{}}",
    "html": "<script>alert(1)</script>&lt;",
    "quotes": "'\"`\\\"",
    "option": "--yes -rf",
    "filter": 'status:failed -x "data.y:',
    "url": "https://evil.example/\x1b]8;;x\x07 file:///etc/passwd",
    "secret look": "whsec_AAAA hkt_1_AAAA",
    "very long": "x" * 3000,
    "long with escape at its end": "y" * 300 + "\x1b]0;late\x07",
    "nothing": "",
    "blanks": "   ",
}  # fmt: skip
"""By a name that a failure can show."""

BYTES: dict[str, bytes] = {
    "raw c1": b"\x9b31m\x9d0;owned\x9c\x90q\x9c",
    "c1 in utf-8": b"\xc2\x9b31m\xc2\x9d0;owned\xc2\x9c",
    "overlong esc": b"\xc0\x9b[31m\xe0\x80\x9b[31m\xf0\x80\x80\x9b",
    "cut": b"\xe2\x82",
    "lone continuation": b"\x80\xbf",
    "no utf-8 at all": bytes(range(256)),
    "utf-16": b"\xff\xfe\x1b\x00[\x003\x001\x00m\x00",
    "surrogates": b"\xed\xa0\x80\xed\xbf\xbf",
    "beyond unicode": b"\xf4\x90\x80\x80\xf8\x88\x80\x80\x80",
}
"""What is no text at all, or pretends to be none."""


def as_name(text: str) -> str:
    """Return as much of a text as can be a name: no NUL or line break, 200 characters."""
    kept = "".join(c for c in text if c not in "\0\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")
    return kept.encode("utf-8", "ignore").decode()[:200]


def packed(size: int) -> list[str]:
    """Return all texts that can be names, joined to as few of at most ``size`` as hold them."""
    packs = [""]
    for text in TEXTS.values():
        name = as_name(text)[:size]
        if len(packs[-1]) + len(name) > size:
            packs.append("")
        packs[-1] += name
    return packs
