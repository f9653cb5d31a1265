"""How bodies are taken apart into lines."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooktui.console.widgets.json_lines import (
    MAX_LINES,
    Section,
    document_lines,
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
    for raw in (False, True):
        for line in document_lines(sections, raw=raw):
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
