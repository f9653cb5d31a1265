"""What a screen paints, and when: only what is seen."""

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.screen import ModalScreen
from textual.theme import Theme

from hooktui.console.app import ConsoleApp
from hooktui.console.frame.screen import ConsoleScreen
from hooktui.console.shell.preferences import ConsoleOptions
from hooktui.console.widgets.chrome import Heading, StatusLine
from hooktui.console.widgets.styled import LineWidget, joined
from tests.console.bare import BareApp

QUIET, GOOD = Style(color="#849198", bgcolor="#14181b"), Style(color="#7fb685", bgcolor="#14181b")
CURSOR = Style(color="#849198", bgcolor="#2b4452")


class Below(ConsoleScreen):
    """A screen with one line."""

    def compose(self):
        yield Heading()


class Shade(ModalScreen[None]):
    """A dialog that what is below shines through."""

    CSS = "Shade { background: black 60%; }"


class Front(Below):
    """A screen that counts what it is asked to paint anew."""

    asked: list[Region]

    def refresh(self, *regions, **more):
        self.__dict__.setdefault("asked", []).extend(regions)
        return super().refresh(*regions, **more)


def disconnected(home) -> ConsoleApp:
    """Return a console that never reaches a server."""
    options = ConsoleOptions(connect=str(home / "none.sock"))
    return ConsoleApp(options, environ={"HOOKTUI_HOME": str(home)})


async def settle(pilot):
    for _ in range(3):
        await pilot.pause()


def seen(pilot):
    return pilot.app.export_screenshot().replace("&#160;", " ")


# Red with Textual's own `is_current`: a status line that changed below had 13 kB written.
async def test_what_changes_in_a_covered_screen_paints_nothing_of_the_one_in_front(tmp_path):
    async with disconnected(tmp_path).run_test(size=(80, 24)) as pilot:
        below, front = Below(), Front()
        await pilot.app.push_screen(below)
        await pilot.app.push_screen(front)
        await settle(pilot)
        front.asked.clear()
        below.query_one(Heading).show((("12 waiting", "plain"),))
        await settle(pilot)
        assert not front.asked
        assert not below.is_current
        await pilot.app.pop_screen()
        await settle(pilot)
        assert "12 waiting" in seen(pilot)


async def test_what_changes_below_a_dialog_is_seen_through_it(tmp_path):
    async with disconnected(tmp_path).run_test(size=(80, 24)) as pilot:
        below = Below()
        await pilot.app.push_screen(below)
        await pilot.app.push_screen(Shade())
        await settle(pilot)
        assert below.is_current
        below.query_one(Heading).show((("12 waiting", "plain"),))
        await settle(pilot)
        assert "12 waiting" in seen(pilot)


class Alarm(LineWidget):
    """One line of bad news."""

    def render_line(self, y):
        return self.strip([("alarm", "bad")], self.size.width)


# Red when a line is not drawn again because the rules of its widget are the same in both themes.
async def test_a_theme_that_differs_in_one_colour_is_drawn_at_once():
    colours = {"calm": "#ff0000", "loud": "#ff00ff"}
    async with BareApp(Alarm()).run_test(size=(20, 3)) as pilot:
        for name, error in colours.items():
            pilot.app.register_theme(Theme(name=name, primary="#6cb6d9", error=error))
        for name in colours:
            pilot.app.theme = name
            await settle(pilot)
            assert pilot.app.theme_variables["error"].lower() in seen(pilot)


class Counting(StatusLine):
    """A status line that notes for which notices it needs another height."""

    layouts: tuple[bool, ...] = ()

    def refresh(self, *regions, layout=False, **more):
        self.layouts += (layout,)
        return super().refresh(*regions, layout=layout, **more)


# Red when every notice arranges the whole screen again, which takes as long as to draw it.
async def test_only_a_notice_of_another_height_arranges_the_screen_again():
    line = Counting()
    async with BareApp(line).run_test(size=(40, 5)) as pilot:
        await settle(pilot)
        line.layouts = ()
        line.notify_line("paused", "good")
        line.notify_line("a notice that needs two lines of this terminal", "good")
        line.notify_line("another one that needs two lines of it, too", "good")
        line.clear_notice()
        assert line.layouts == (False, True, False, True)


def test_blanks_take_the_look_of_the_text_beside_them():
    row = [Segment("  ", GOOD), Segment("ok", QUIET), Segment("  ", GOOD), Segment("12", QUIET)]
    assert joined([*row, Segment("", GOOD), Segment(" ", GOOD)]) == [Segment("  ok  12 ", QUIET)]


def test_text_keeps_its_look_and_blanks_their_ground():
    row = [Segment("ok", GOOD), Segment("  ", CURSOR), Segment("12", QUIET)]
    assert joined(row) == row
    for seen in ("underline", "strike", "reverse"):
        line = [Segment("ok", QUIET), Segment("  ", QUIET + Style(**{seen: True}))]
        assert joined(line) == line
