r"""`visible`: tables of hostile text, and properties over any text at all."""

from __future__ import annotations

import ast
import itertools
import unicodedata
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooktui.domain.text import MAX_MARKS, counted, keep_order, number_text, visible
from tests.domain.bidi import display_order
from tests.support import structure

# Everything, weighted towards what hurts; st.text() alone leaves out lone surrogates.
HOSTILE = st.text(
    st.one_of(
        st.characters(exclude_categories=()),
        st.sampled_from("\x00\x1b\x9b\r\n\t\x7f\u202e\u200b\u0301\u0338\u1160\ufe0f\U000e0041 a…"),
    ),
    max_size=60,
)

TABLE = [
    ("plain text, {}[]\\ and ~", "plain text, {}[]\\ and ~"),
    ("Bücher 例え 💩 ½ naïve", "Bücher 例え 💩 ½ naïve"),
    ("e\u0301", "e\u0301"),
    ("\ue0b0 private use", "\ue0b0 private use"),
    ("a\u00a0b", "a\\u{a0}b"),
    ("\u2800", "\\u{2800}"),
    ("pay\u2003roll\u3000\u202f", "pay\\u{2003}roll\\u{3000}\\u{202f}"),
    ("\u1680\u303f\U0001d159", "\\u{1680}\\u{303f}\\u{1d159}"),
    ("\x00", "␀"),
    ("\x1b[31mred\x1b[0m", "␛[31mred␛[0m"),
    ("\x1b]52;c;YWJj\x07", "␛]52;c;YWJj␇"),
    ("a\r\nb\tc", "a␍␊b␉c"),
    ("\x1f", "␟"),
    ("\x7f", "␡"),
    ("\x9b31m", "\\x9b31m"),
    ("\x85", "\\x85"),
    ("\xa0", "\\u{a0}"),
    ("\xad", "\\u{ad}"),
    ("abc\u202egnp.exe", "abc\\u{202e}gnp.exe"),
    ("\u2066a\u2069", "\\u{2066}a\\u{2069}"),
    ("\u061c\u200e\u200f", "\\u{61c}\\u{200e}\\u{200f}"),
    ("a\u200bb\u200cc\u200dd\u2060e\ufeff", "a\\u{200b}b\\u{200c}c\\u{200d}d\\u{2060}e\\u{feff}"),
    ("\u2028\u2029", "\\u{2028}\\u{2029}"),
    ("\U000e0041\U000e0100", "\\u{e0041}\\u{e0100}"),
    ("\u2764\ufe0f", "\u2764\\u{fe0f}"),
    ("a\u115f\u3164\uffa0\u034f", "a\\u{115f}\\u{3164}\\u{ffa0}\\u{34f}"),
    ("\ud800\udfff", "\\u{d800}\\u{dfff}"),
    ("\udc9b", "\\x9b"),
    ("\ufffe\U0010ffff", "\\u{fffe}\\u{10ffff}"),
    ("a" + "\u0301" * 3 + "b", "a" + "\u0301" * 3 + "b"),
    ("a" + "\u0301" * 4 + "b", "a" + "\u0301" * 3 + "…b"),
    ("a" + "\u0301\u0338\u20dd\u0489" * 50 + "b", "a\u0301\u0338\u20dd…b"),
    ("\u0301a", "\\u{301}a"),
    ("\u1112\u1161\u11ab", "\u1112\u1161\u11ab"),
    ("\u1112" + "\u1161" * 9, "\u1112" + "\u1161" * 3 + "…"),
    (b"plain", "plain"),
    ("Bücher".encode(), "Bücher"),
    (b"\xff\x1b\xc3", "\\xff␛\\xc3"),
    (b"\xc2\x9b31m", "\\x9b31m"),
    (b"\xed\xa0\x80", "\\xed\\xa0\\x80"),
    (b"\xc0\x9b", "\\xc0\\x9b"),
    ("", ""),
    (b"", ""),
]


@pytest.mark.parametrize(("text", "shown"), TABLE)
def test_what_is_shown_for_a_text(text: str | bytes, shown: str) -> None:
    assert visible(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\n\tb", "a\n\tb"),
        ("a\r\nb", "a␍\nb"),
        ("a\x0bb\x0cc\x85d\u2028e", "a␋b␌c\\x85d\\u{2028}e"),
        ("\n\u0301", "\n\\u{301}"),
        ("\x1b\n\x1b", "␛\n␛"),
        (b"a\nb\xff", "a\nb\\xff"),
    ],
)
def test_line_breaks_and_tabs_stay_where_lines_are_shown(text: str | bytes, shown: str) -> None:
    assert visible(text, lines=True) == shown


@pytest.mark.parametrize(
    ("text", "limit", "shown"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdef", 5, "abcd…"),
        ("abcdef", 1, "…"),
        ("abcdef", 0, ""),
        ("\x1babc", 3, "␛a…"),
    ],
)
def test_a_long_text_is_cut_with_an_ellipsis(text: str, limit: int, shown: str) -> None:
    assert visible(text, limit=limit) == shown


def test_with_lines_the_limit_is_for_each_line() -> None:
    assert visible("abcdef\nab\nabcd", lines=True, limit=3) == "ab…\nab\nab…"


def is_harmless(letter: str) -> bool:
    category = unicodedata.category(letter)
    return category == "Co" or (category[0] not in "CZ") or letter == " "


@given(st.one_of(HOSTILE, st.binary(max_size=60)), st.booleans())
def test_whatever_comes_in_only_harmless_characters_come_out(
    text: str | bytes, lines: bool
) -> None:
    shown = visible(text, lines=lines)
    assert all(is_harmless(letter) or (lines and letter in "\n\t") for letter in shown)
    shown.encode("utf-8")
    runs = itertools.groupby(shown, lambda letter: unicodedata.category(letter)[0] == "M")
    assert all(len(list(run)) <= MAX_MARKS for is_marks, run in runs if is_marks)


@given(HOSTILE, st.booleans(), st.one_of(st.none(), st.integers(0, 30)))
def test_showing_what_is_shown_changes_nothing(text: str, lines: bool, limit: int | None) -> None:
    shown = visible(text, lines=lines, limit=limit)
    assert visible(shown, lines=lines, limit=limit) == shown
    assert limit is None or all(len(line) <= limit for line in shown.split("\n"))


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E)))
def test_printable_ascii_stays_the_same_object(text: str) -> None:
    assert visible(text) is text
    assert visible(text.encode()) == text


# Drawn without ink though Unicode calls them letters, symbols or marks.
BLANKS = "\u115f\u1160\u3164\uffa0\u2800\u303f\U0001d159\U00016fe4\U00013441\U00013442"


# Red when two hooks can have names that look alike and differ in a blank.
def test_only_the_usual_blank_is_shown_as_one() -> None:
    blanks = [chr(c) for c in range(0x110000) if unicodedata.category(chr(c)) == "Zs"]
    assert "\u3000" in blanks
    for letter in {*blanks, *BLANKS} - {" "}:
        for text in (letter, f"a{letter}b", f"\u00fc{letter}"):
            shown = visible(text)
            assert f"\\u{{{ord(letter):x}}}" in shown
            assert letter not in shown
    assert visible("a b") == "a b"


def test_every_code_point_alone_is_harmless() -> None:
    for code in itertools.chain(range(0x3100), range(0xD700, 0x10000), range(0xE0000, 0xE0200)):
        shown = visible(chr(code))
        assert all(is_harmless(letter) for letter in shown), hex(code)
        assert not unicodedata.combining(shown[0]), hex(code)


def test_the_bidirectional_algorithm_draws_what_its_standard_says() -> None:
    def drawn(line: str) -> str:
        return "".join(line[at] for at in display_order(line))

    assert drawn("abc \u05d0\u05d1\u05d2") == "abc \u05d2\u05d1\u05d0"
    assert drawn("\u05d0\u05d1 12 x") == "12 \u05d1\u05d0 x"
    assert drawn("\u05d0 500 \u05d1") == "\u05d1 500 \u05d0"
    assert drawn("\u05d0 1-2") == "1-2 \u05d0"
    assert drawn("\u0627 1-2") == "2-1 \u0627"
    assert drawn("x 1-2 y") == "x 1-2 y"


_WORDS = st.text(
    "\u05d0\u05d1\u05b0\u0627\u06f1\u0661\U0001e900ab12+-.,:%()!…│", min_size=1, max_size=6
)
_TEXTS = st.lists(_WORDS, min_size=1, max_size=3).map(" ".join)
_PARTS = st.lists(_TEXTS | st.sampled_from(["500", "3", "+1.5%", "│", "->", "12:30"]), min_size=1)


# Red when a text can move beside another one, where the terminal reorders lines.
@given(parts=_PARTS, gap=st.sampled_from(["  ", "   ", " │ ", " 7 "]), first=st.booleans())
def test_no_part_of_a_line_leaves_its_cells(parts: list[str], gap: str, first: bool) -> None:
    shown = [visible(part) for part in parts]
    line = ("x " if first else " ") + gap.join(shown)
    kept = keep_order(line)
    assert kept.replace("\u2800", " ") == line
    strong = (kind for kind in map(unicodedata.bidirectional, kept) if kind in ("L", "R", "AL"))
    assert next(strong, "L") == "L", "some terminals take the direction of a line from it"
    cell_of = {index: cell for cell, index in enumerate(display_order(kept))}
    start = line.index(shown[0], 1)
    for part in shown:
        cells = {cell_of[index] for index in range(start, start + len(part))}
        assert cells == set(range(start, start + len(part)))
        start += len(part) + len(gap)


def test_a_name_of_several_words_is_left_as_it_is() -> None:
    name = "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd"
    assert keep_order(f"7  {name}  500") == f"7\u2800 {name}\u2800 500"
    assert keep_order("zürich 日本  500") == "zürich 日本  500"


def test_every_right_to_left_character_is_known_as_one() -> None:
    for code in range(0x110000):
        letter = chr(code)
        if unicodedata.bidirectional(letter) in ("R", "AL", "AN") and visible(letter) == letter:
            assert keep_order(f"{letter}  1") == f"{letter}\u2800 1"


PLURALS = {
    "account": "accounts", "alert": "alerts", "attempt": "attempts", "check": "checks",
    "day": "days", "delivery": "deliveries", "duplicate": "duplicates", "entry": "entries",
    "equal line": "equal lines", "event": "events", "failure": "failures", "field": "fields",
    "group": "groups", "header": "headers", "hook": "hooks", "line": "lines", "ping": "pings",
    "replay": "replays", "result": "results", "server": "servers", "time": "times",
    "token": "tokens", "type": "types", "value": "values", "waiting delivery": "waiting deliveries",
    "waiting retry": "waiting retries", "warning": "warnings",
}  # fmt: skip


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (31.0, "31"), (0.5, "0.5"), (1001, "1,001"), (12345.678, "12,345.678"), (-5.0, "-5"),
        (0.00001, "0.00001"), (77760000.0, "77,760,000"), (0.1 + 0.2, "0.3"), (0.0, "0"),
    ],
)  # fmt: skip
def test_a_number_has_all_its_digits_and_no_exponent(number: float, text: str):
    assert number_text(number) == text


def counted_nouns() -> Iterator[str]:
    """Yield the nouns that are counted: those of calls, and the ``NOUN`` of a list."""
    sources = [path.read_text() for path in (structure.ROOT / "hooktui").rglob("*.py")]
    for source in sources:
        if "counted(" not in source and "NOUN" not in source:
            continue
        for node in ast.walk(ast.parse(source)):
            match node:
                case ast.Call(
                    func=ast.Name("counted") | ast.Attribute(attr="counted"),
                    args=[*_, ast.Constant(str(noun))],
                ):
                    yield noun
                case ast.Assign(targets=[ast.Name("NOUN")], value=ast.Constant(str(noun))):
                    yield noun
                case ast.AnnAssign(target=ast.Name("NOUN"), value=ast.Constant(str(noun))):
                    yield noun


# Red when a noun is counted whose plural is not written in the table, as it must read.
def test_the_plural_of_each_counted_noun_is_right() -> None:
    nouns = {*counted_nouns(), *PLURALS}
    made = {noun: counted(2, noun).removeprefix("2 ") for noun in nouns}
    assert made == PLURALS
    assert (counted(1, "replay"), counted(1200, "replay")) == ("1 replay", "1,200 replays")
