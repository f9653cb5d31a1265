"""How bodies are taken apart into lines."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooktui.console.widgets.document_lines import (
    FORM_WORDS,
    MAX_LINES,
    Section,
    document_lines,
    hex_lines,
    json_lines,
    raw_lines,
)

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=20,
)  # fmt: skip


@given(st.lists(values, max_size=4) | st.dictionaries(st.text(max_size=5), values, max_size=5))
def test_the_pretty_lines_are_what_the_standard_library_would_print(value: object) -> None:
    text = json.dumps(value)
    lines = json_lines(text)
    assert lines is not None
    assert "\n".join(line.text for line in lines) == json.dumps(value, indent=2)


# Red when the half of a character is copied: no terminal can be sent it, and the console ended.
@pytest.mark.parametrize("half", ["\\ud83d", "\\uDE00x", "a\\ud83d\\ud83d"])
def test_half_a_character_is_copied_as_it_was_sent(half: str) -> None:
    lines = json_lines(f'{{"error": "{half}"}}')
    assert lines is not None
    assert lines[1].copied() == f'"{half}"'
    assert json_lines('["\\ud83d\\ude00"]')[1].copied() == "\N{GRINNING FACE}"


@given(st.lists(values, max_size=4) | st.dictionaries(st.text(max_size=5), values, max_size=5))
def test_every_line_copies_the_value_it_shows_and_folds_to_its_own_end(value: object) -> None:
    lines = json_lines(json.dumps(value))
    assert lines is not None
    assert json.loads(lines[0].copied()) == value
    for place, line in enumerate(lines):
        if line.end:
            assert place < line.end <= len(lines)
            indent = len(line.text) - len(line.text.lstrip())
            closing = lines[line.end - 1].text
            assert len(closing) - len(closing.lstrip()) == indent


def test_numbers_escapes_and_doubled_keys_are_shown_as_they_were_sent() -> None:
    lines = json_lines('{"a":1.50,"a":12345678901234567890123,"b":"\\u00e9\\n"}')
    assert lines is not None
    assert [line.text for line in lines] == [
        "{",
        '  "a": 1.50,',
        '  "a": 12345678901234567890123,',
        '  "b": "\\u00e9\\n"',
        "}",
    ]
    assert lines[3].copied() == "é\n"


@pytest.mark.parametrize("text", ["", "no", "12", '"x"', "{", '{"a":}', "[" * 100_000, "[1,]"])
def test_what_is_no_json_object_or_list_is_no_tree(text: str) -> None:
    assert json_lines(text) is None


def test_a_body_of_too_many_lines_is_no_tree() -> None:
    assert json_lines("[" + "1," * MAX_LINES + "1]") is None


def test_a_folded_opener_counts_what_it_hides_and_keeps_the_comma() -> None:
    lines = json_lines('{"a":{"x":1,"y":[]},"b":[1]}')
    assert lines is not None
    assert "".join(span.text for span in lines[1].folded) == '  "a": { 2 keys },'
    assert "".join(span.text for span in lines[5].folded) == '  "b": [ 1 item ]'


def test_hostile_text_is_made_visible_in_every_form() -> None:
    evil = "\x1b]52;c;eA==\x07\u202e"
    sections = [
        Section("Headers", pairs=(("x\x1b", evil),)),
        Section("Body", note=evil, text=json.dumps({evil: evil}, ensure_ascii=False)),
        Section("Raw", text=f"{evil}\r\n\t{evil}"),
    ]
    sections += [replace(sections[-1], kind=kind) for kind in ("difference", "words")]
    for form in FORM_WORDS:
        for line in document_lines(sections, form):
            for span in (*line.spans, *line.folded):
                assert span.text.isprintable()


def test_raw_lines_copy_exactly_what_came() -> None:
    lines = raw_lines("one\ttwo\r\nthree")
    assert [line.text for line in lines] == ["one    two", "three"]
    assert [line.copied() for line in lines] == ["one\ttwo\r", "three"]


def test_a_heading_folds_its_whole_section_and_no_more() -> None:
    lines = document_lines([Section("A", pairs=(("k", "v"),), text="{}"), Section("B", text="x")])
    assert [line.text for line in lines] == ["▾ A", "k: v", "{}", "▾ B", "x"]
    assert (lines[0].end, lines[3].end) == (3, 5)


def test_a_dump_shows_sixteen_bytes_a_line_and_what_of_them_can_be_read() -> None:
    # Red when characters are counted instead of bytes, or a control byte is drawn.
    (first, second) = hex_lines("0123456789é\x1b\n\x7f+x")
    assert (
        first.text == "000000  30 31 32 33 34 35 36 37  38 39 c3 a9 1b 0a 7f 2b  0123456789.....+"
    )
    assert second.text == "000010  78                                                x"
    assert first.copied() == "30 31 32 33 34 35 36 37 38 39 c3 a9 1b 0a 7f 2b"
    assert hex_lines("") == []


def test_words_of_ours_are_no_body_and_a_difference_stands_out() -> None:
    sections = [
        Section("A", text='{"a":1}', kind="words"),
        Section("B", text="@@ 1 @@\n-old\n+new\n same", kind="difference"),
    ]
    lines = document_lines(sections, "hex")
    assert [line.text for line in lines] == [
        "▾ A", '{"a":1}', "▾ B", "@@ 1 @@", "-old", "+new", " same",
    ]  # fmt: skip
    kinds = [line.spans[0].kind for line in lines[3:]]
    assert kinds == ["note", "removed", "added", "plain"]
