"""What people see: aligned, safe, and without colours where nobody sees them."""

import io
import json

from hooktui.cli.output import Output, Styled, TextColumn, width
from tests.support.scripted_server import HOOK, answer, page

COLUMNS = (TextColumn("NAME"), TextColumn("COUNT", right=True))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def output(*, color: bool = False, stdout: io.StringIO | None = None) -> tuple[Output, io.StringIO]:
    stream = stdout or io.StringIO()
    return Output(stream, io.StringIO(), color=color, quiet=False), stream


# Red when a terminal that cannot clear a line gets the sequence for it, or any without progress.
def test_control_sequences_are_written_only_to_replace_a_progress_line():
    def progress(*texts: str, dumb: bool = False) -> str:
        stderr = Terminal()
        out = Output(io.StringIO(), stderr, color=False, quiet=False, dumb=dumb)
        for text in texts:
            out.progress(text)
        return stderr.getvalue()

    assert progress("1 of 2", "", "") == "\r\x1b[K1 of 2\r\x1b[K"
    assert progress("") == ""
    assert progress("1 of 2", "", dumb=True) == ""


def test_columns_are_aligned_and_numbers_stand_to_the_right():
    out, stream = output()
    out.table(COLUMNS, [("a", "5"), (Styled("longer", "bad"), "12345")])
    assert stream.getvalue().splitlines() == [
        "NAME    COUNT",
        "a           5",
        "longer  12345",
    ]


def test_wide_characters_take_two_columns():
    assert width("日本") == 4
    assert width("e\u0301") == 1
    out, stream = output()
    out.table(COLUMNS, [("日本", "5"), ("abcd", "5")])
    assert stream.getvalue().splitlines()[1:] == ["日本      5", "abcd      5"]


def test_colours_change_nothing_but_the_colour():
    plain, colored = output(), output(color=True)
    for out, _ in (plain, colored):
        out.table(COLUMNS, [(Styled("x", "good"), "1"), (Styled("", "bad"), "2")])
    shown = colored[1].getvalue()
    assert "\x1b[32mx\x1b[0m" in shown
    for code in ("\x1b[32m", "\x1b[2m", "\x1b[0m"):
        shown = shown.replace(code, "")
    assert shown == plain[1].getvalue()


def test_json_is_indented_for_a_terminal_and_one_line_else():
    out, stream = output()
    out.json({"a": "é\x1b"})
    assert stream.getvalue() == '{"a": "\\u00e9\\u001b"}\n'
    out, stream = output(stdout=Terminal())
    out.json({"a": 1})
    assert stream.getvalue() == '{\n  "a": 1\n}\n'


def test_an_array_is_bare_json_whatever_its_length():
    for values in ([], [1], [1, {"a": [2]}]):
        out, stream = output()
        out.json_array(iter(values))
        assert json.loads(stream.getvalue()) == values


HOSTILE = "\x1b]52;c;ZXZpbA==\x07\x1b[2J\u202egnp.exe\u200b\x9b31m\n[red]x[/nope]\x00"


def test_nothing_hostile_in_a_hook_reaches_the_terminal(run, server):
    hook = {**HOOK, "name": HOSTILE, "url": f"https://x.test/{HOSTILE}", "filter": HOSTILE,
            "events": [HOSTILE], "headers": {HOSTILE: HOSTILE}, "active": False,
            "disabled_reason": HOSTILE}  # fmt: skip
    server.will(page(hook), answer(hook))
    for arguments in (("hooks", "list"), ("hooks", "show", "12")):
        out = run(*arguments).out
        assert "[red]" in out
        for bad in ("\x1b", "\x07", "\x9b", "\u202e", "\u200b", "\x00"):
            assert bad not in out
    server.will(answer(hook))
    shown = run("hooks", "show", "12", "--json")
    assert shown.json == hook
    assert shown.out.isascii()


# Red when any way of writing leaves `visible` out; here each is seen by itself.
def test_no_way_of_writing_lets_hostile_text_through():
    for write in (
        lambda out: out.line(HOSTILE, Styled(HOSTILE, "bad")),
        lambda out: out.block(HOSTILE),
        lambda out: out.table(COLUMNS, [(HOSTILE, Styled(HOSTILE, "bad"))]),
        lambda out: out.note(HOSTILE),
        lambda out: out.progress(HOSTILE),
    ):
        stream = Terminal()
        write(Output(stream, stream, color=False, quiet=False))
        shown = stream.getvalue().replace("\r\x1b[K", "")
        assert "␛]52;c;" in shown
        assert shown.replace("\n", "").isprintable()


def test_no_colours_without_a_terminal(run, server):
    server.will(page(HOOK))
    assert "\x1b" not in run("hooks", "list").out


# Red when two hooks look alike that differ in a blank.
def test_a_table_and_a_line_show_which_blank_a_name_has(run, server):
    server.will(page(*({**HOOK, "name": f"pay{blank}roll"} for blank in " \xa0\u2800\u3000")))
    out = run("hooks", "list").out
    for blank in (" ", "\\u{a0}", "\\u{2800}", "\\u{3000}"):
        assert f"pay{blank}roll" in out
    line = {"kind": "hook", "at": "2026-11-25T00:00:01.000Z", "id": 9, "account": 1}
    server.will(answer({"data": [{**line, "change": "created", "name": "a\u3000b"}], "next": "p"}))
    assert run("log").out.endswith("created: a\\u{3000}b\n")


# Red when right-to-left text can pull the columns after it to its other side.
def test_right_to_left_text_stays_in_its_column():
    out, stream = output(color=True)
    out.table(COLUMNS, [(Styled("\u05d0\u05d1", "good"), "5")])
    out.line("\u05d0", " 5")
    table, line = stream.getvalue().splitlines()[1:]
    assert table == "\x1b[32m\u05d0\u05d1\x1b[0m\u2800       5"
    assert line == "\u05d0\u28005"
