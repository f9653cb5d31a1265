"""Bodies that are JSON, nearly JSON, or JSON that some parser takes and another does not."""

from __future__ import annotations

import json

from hypothesis import strategies as st

from hooktui.api.ingest import MAX_BODY_BYTES

PIECES = [
    b"", b"\xef\xbb\xbf", b"\xff\xfe", b"\0", b"\x0b", b"\xc2\xa0", b"\xe2\x80\xa8", b"\x1b",
    b"\x7f", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\\u0000", b"\\ud800", b"\\udfff",
    b"//x\n", b"/**/", b"#", b",", b":", b"NaN", b"-Infinity", b"nan", b"01", b"1.", b".1", b"+1",
    b"1e", b"1e999", b"-0", b"1E+2", b"0x1", b"1_0", b"'", b'"', b"[", b"}", b"True", b"\\x41",
]  # fmt: skip
ODD = [
    *(b"[" * depth + b"]" * depth for depth in (199, 200, 201, 5000)),
    *(b'{"":' * depth + b"0" + b"}" * depth for depth in (200, 201, 20_000)),
    b"[" * 200_000, b'["]' * 300, b'"' + b"[{" * 300 + b'"', b"1" * 200_000, b"-1e" + b"9" * 5000,
    b'{"a":1,"a":2,"\\u0061":3}', b'{"type":"x","type":"y"}', b"\xef\xbb\xbf{}", b"", b" \r\n",
    '{"ä":1}'.encode("utf-16"), '{"ä":1}'.encode("latin-1"), b'{"a":1}\n{"a":2}', b"a=1&b=2",
    b'"' + b"a" * (MAX_BODY_BYTES - 2) + b'"', b'"' + b"a" * (MAX_BODY_BYTES - 1) + b'"',
]  # fmt: skip

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@st.composite
def written(draw: st.DrawFn) -> bytes:
    """JSON, in one of the ways to write it; NaN, Infinity and half characters may be in it."""
    text = json.dumps(
        draw(values),
        ensure_ascii=draw(st.booleans()),
        indent=draw(st.sampled_from([None, 1, "\t", ""])),
        separators=draw(st.sampled_from([None, (",", ":"), (" ,\r\n", "\t: ")])),
    )
    return text.encode("utf-8", "surrogatepass")


@st.composite
def broken(draw: st.DrawFn) -> bytes:
    """JSON with something cut out and something else put in."""
    whole = draw(written())
    start = draw(st.integers(0, len(whole)))
    end = start + draw(st.integers(0, 3))
    put = draw(st.sampled_from(PIECES) | st.binary(max_size=3))
    return whole[:start] + put + whole[end:]
