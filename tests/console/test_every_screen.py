"""What holds on every screen: reasons for a viewer, and a terminal that is resized, or goes."""

import contextlib
import fcntl
import signal
import struct
import termios

import pytest

from hooktui.console.frame.screen import ConsoleScreen, front_screen
from hooktui.console.navigation import screen_class
from hooktui.console.registry import BY_NAME, TOP_SCREENS, Command
from hooktui.console.widgets.chrome import StatusLine
from hooktui.domain.roles import Need, Role, allows, why_not
from tests.console.client import Client
from tests.console.command_scene import OPENERS, Scene, staged
from tests.console.conftest import Console
from tests.console.screen_text import notice_of
from tests.console.test_terminal import LEAVE_ALTERNATE_SCREEN, MOUSE_OFF, console
from tests.support.receivers import Receiver
from tests.support.waiting import wait_for

SIZES = [(24, 80), (15, 60), (10, 30), (50, 200), (2, 2), (36, 120), (15, 59), (14, 60)]


async def _says_why_not(viewed: Console, screen: ConsoleScreen, command: Command) -> None:
    reason = why_not(Role.VIEWER, command.need)
    await viewed.until(lambda: screen.disabled_reason(command.name) == reason)
    screen.notices.clear()
    await viewed.press(command.keys.partition(",")[0])
    line = screen.query_one(StatusLine)
    await viewed.until(lambda: reason in " ".join(notice_of(line).split()))


async def test_a_viewer_sees_at_every_command_of_every_screen_why_not(
    open_console, make_hook, client: Client
):
    """Red when a command that the server would refuse has no reason, or its key says nothing."""
    hook = make_hook(name="billing")
    event = client.emit().id
    wait_for(lambda: client.deliveries(hook["id"], "delivered"))
    delivery = client.deliveries(hook["id"])[0].id
    async with open_console(role="viewer") as viewed:
        app = viewed.app
        await viewed.shows("billing", "(viewer)")
        ways = [
            *(lambda top=top: app.navigation.go(top) for top in TOP_SCREENS),
            lambda: app.navigation.open_hook(hook["id"]),
            lambda: app.navigation.open_delivery(delivery),
            lambda: app.navigation.open_event(event),
        ]
        dimmed = 0
        for way in ways:
            way()
            await viewed.shows("(viewer)")
            screen = front_screen(app)
            assert screen is not None
            needy = [screen.command(name) for name in screen.COMMAND_NAMES]
            for command in (one for one in needy if not allows(Role.VIEWER, one.need)):
                await _says_why_not(viewed, screen, command)
                dimmed += 1
        assert dimmed > 20


def test_what_changes_something_needs_more_than_a_viewer():
    """Red when a command forgets its need: it would look possible, and fail at the server."""
    changing = "new edit delete activate ping diagnose secret reveal rotate resend cancel emit save"
    assert all(BY_NAME[name].need is not Need.READ for name in changing.split())


STORMED = [
    pytest.param(number, id=top.name, marks=[pytest.mark.soak] * (number % 3 > 0))
    for number, top in enumerate(TOP_SCREENS)
]


def _resize(terminal, rows, columns):
    fcntl.ioctl(terminal.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    with contextlib.suppress(ProcessLookupError):
        terminal.process.send_signal(signal.SIGWINCH)


@pytest.mark.parametrize("number", STORMED)
def test_a_storm_of_sizes_and_a_signal_leave_the_terminal_as_it_was(served, number):
    """Red when a screen ends with a traceback at some size, or holds up the end."""
    top = TOP_SCREENS[number]
    end = signal.SIGHUP if number % 2 else signal.SIGTERM
    with console(served) as terminal:
        terminal.read_until(b"default")
        terminal.type(f":{top.name}\r".encode())
        terminal.read_until(screen_class(top).HEADING.encode())
        for rows, columns in SIZES * 3:
            _resize(terminal, rows, columns)
            terminal._read(0.03)
        terminal.output = b""
        _resize(terminal, 30, 100)
        terminal.read_until(screen_class(top).HEADING.encode())
        _resize(terminal, 10, 40)
        terminal.read_until(b"hooktui needs 60x15")
        terminal.process.send_signal(end)
        assert terminal.wait() == 128 + end
        assert LEAVE_ALTERNATE_SCREEN in terminal.output
        assert MOUSE_OFF in terminal.output
        assert b"unforeseen" not in terminal.output


@pytest.mark.parametrize(
    "keys",
    ["n", "?", *(pytest.param(key, marks=pytest.mark.soak) for key in (":hook 1\r", "\x10", ":"))],
)
def test_a_console_whose_terminal_has_gone_ends_from_every_dialog(served, keys):
    """Red when something that is open keeps the console alive, or busy, without a terminal."""
    ignoring = ("sh", "-c", 'trap "" HUP; exec "$@"', "sh")
    with console(served, prefix=ignoring) as terminal:
        terminal.read_until(b"default")
        terminal.type(keys.encode())
        terminal._read(0.5)
        terminal.close()
        terminal.wait()


# Red when a part of a screen answers a key whose command the screen does not name.
async def test_no_screen_accepts_a_command_that_it_does_not_name(
    client: Client, receiver: Receiver
):
    async with staged(client, receiver) as scene:
        for kind in OPENERS:
            screen = await scene.open(kind)
            named = {*screen.commands_here(), *(one.name for one in screen.command_labels())}
            for name in BY_NAME.keys() - named:
                reason = screen.disabled_reason(name) or ""
                assert "is not available on this screen" in reason, (kind, name)
            if "mark" not in named and hasattr(screen, "rows") and hasattr(screen, "listing"):
                assert await screen.listing.mark_every(10) == 0, kind
            await _left(scene)


async def _left(scene: Scene) -> None:
    while len(scene.app.screen_stack) > 1:
        scene.app.pop_screen()
        await scene.console.pilot.pause()
