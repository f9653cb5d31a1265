"""What keeps the terminal whole and secrets off it."""

import stat
from pathlib import Path

import pytest
from rich.segment import ControlType, Segment
from textual.color import Color

from hooktui.console.app import ConsoleApp
from hooktui.console.shell.preferences import ConsoleOptions
from hooktui.console.shell.terminal import EscapeFilter, write_fault

BACKGROUND = Color(0, 0, 0)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_the_filter_shows_what_the_first_layer_missed():
    texts = ["fine", "a\x1b[2Jb\x9bc\u202e", "ad\u200bmin\ufe0f"]
    segments = [*map(Segment, texts), Segment(" " * 80)]
    shown = EscapeFilter().apply(segments, BACKGROUND)
    assert [segment.text for segment in shown[:3]] == [
        "fine", "a␛[2Jb\\x9bc\\u{202e}", "ad\\u{200b}min\\u{fe0f}",
    ]  # fmt: skip


# Red when right-to-left text can pull the digits after it to its other side.
def test_the_filter_keeps_right_to_left_text_in_its_place():
    segments = [Segment("\u05d0 \u05d1"), Segment("  500 "), Segment("\u05d2 ")]
    shown = EscapeFilter().apply(segments, BACKGROUND)
    assert [segment.text for segment in shown] == ["\u05d0 \u05d1", "\u2800 500 ", "\u05d2\u2800"]


# Red when an escape makes a line longer than the terminal: the rest is then drawn into the next.
@pytest.mark.parametrize(
    "text", ["\xa0" * 80, "\u202e\u2800" * 40, "x" * 79 + "\x9b", "例\xa0" * 20]
)
def test_an_escaped_line_keeps_its_width(text: str):
    segments = [Segment(text), Segment(" " * 3)]
    shown = EscapeFilter().apply(segments, BACKGROUND)
    assert Segment.get_line_length(shown) == Segment.get_line_length(segments)


def test_the_filter_leaves_lines_without_control_characters_alone():
    segments = [Segment("▁▂▃ ● zürich …")]
    assert EscapeFilter().apply(segments, BACKGROUND) is segments


def test_the_filter_leaves_the_sequences_of_the_library_alone():
    control = Segment("\x1b[?25l", control=[(ControlType.HIDE_CURSOR,)])
    shown = EscapeFilter().apply([control, Segment("\x07"), Segment("  ")], BACKGROUND)
    assert [segment.text for segment in shown] == ["\x1b[?25l", "␇", " "]


def test_every_line_of_the_app_goes_through_the_filter():
    app = ConsoleApp(environ={"HOOKTUI_HOME": "/nowhere"})
    assert any(isinstance(one, EscapeFilter) for one in app._filters)


def fail_with(secret: str) -> None:
    local_secret = secret + "-local"
    raise KeyError(f"no such key: {secret}", len(local_secret))


def test_the_log_of_a_fault_holds_no_locals_and_no_secrets(tmp_path: Path):
    try:
        fail_with(SECRET)
    except KeyError:
        line = write_fault({"HOOKTUI_HOME": str(tmp_path)})
    log = tmp_path / "console.log"
    assert line == f"the console crashed with KeyError; details are in {log}"
    text = log.read_text()
    assert "fail_with" in text
    assert SECRET not in text
    assert "-local" not in text.replace('"-local"', "")
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_a_fault_whose_log_cannot_be_written_is_still_one_line(tmp_path: Path):
    (tmp_path / "home").write_text("a file where a folder should be")
    try:
        fail_with(SECRET)
    except KeyError:
        line = write_fault({"HOOKTUI_HOME": str(tmp_path / "home")})
    assert line.startswith("the console crashed with KeyError; its log cannot be written")
    assert "\n" not in line


async def test_an_unforeseen_error_ends_the_app_without_a_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    given = ConsoleOptions(connect=str(tmp_path / "none.sock"))  # without it, a server is started
    app = ConsoleApp(given, environ={"HOOKTUI_HOME": str(tmp_path)})

    async def run_and_fail() -> None:
        async with app.run_test() as pilot:
            app.call_later(fail_with, SECRET)
            await pilot.pause(0.1)

    with pytest.raises(KeyError):
        await run_and_fail()
    assert app.fault is not None
    assert "crashed with KeyError" in app.fault
    assert app.return_code == 1
    written = capsys.readouterr()
    assert SECRET not in written.out + written.err
