"""What a terminal gets when an alert opens: a bell and a constant text, only without focus."""

from __future__ import annotations

from pathlib import Path

import pytest

from hooktui.client import calls
from tests.console.client import Client
from tests.console.test_terminal import KNOWN, Terminal, console
from tests.support.receivers import Receiver
from tests.support.waiting import wait_for

FOCUS_LOST, FOCUS_BACK = b"\x1b[O", b"\x1b[I"
MESSAGE = b"\x1b]9;hooktui: deliveries were given up\x07"


@pytest.fixture
def settings(served: dict[str, str]):
    """Return what writes the console's settings; without any afterwards."""
    file = Path(served["HOOKTUI_HOME"]) / "config.toml"

    def write(notify: str) -> None:
        file.write_text(f'[console]\nnotify = "{notify}"\n')

    yield write
    file.unlink(missing_ok=True)


def give_up(client: Client, receiver: Receiver, event_type: str) -> None:
    """Let a delivery be given up: its alert opens with the first attempt."""
    receiver.status = 500
    client.hook(receiver.url, name="secret-name", retry_schedule_s=[], events=[event_type])
    client.emit(event_type)


def seen_by(terminal: Terminal) -> tuple[int, int]:
    """Return how many bells and how many messages came so far."""
    messages = terminal.output.count(b"\x1b]9;")
    rest = KNOWN.sub(b"", terminal.output).replace(MESSAGE, b"")
    assert b"\x1b]9;" not in rest, "a message has a text that is no constant"
    return rest.count(b"\x07"), messages


def begin(terminal: Terminal, client: Client, receiver: Receiver) -> None:
    """Wait until the console follows the feed, which alone brings a line of the log."""
    terminal.read_until(b"waiting")
    receiver.status = 200
    client.hook(receiver.url, name="fine", events=["cluster.error"])
    client.emit("cluster.error")
    terminal.read_until(b"cluster.error")
    terminal.read_until_quiet()


@pytest.mark.parametrize(
    ("notify", "keys", "more", "expected"),
    [
        pytest.param("desktop", FOCUS_LOST, {}, (1, 1), id="desktop"),
        pytest.param("desktop", FOCUS_LOST, {"TMUX": "/tmp/x,1,0"}, (1, 0), id="tmux"),
        pytest.param("bell", FOCUS_LOST, {}, (1, 0), id="bell"),
        pytest.param("off", FOCUS_LOST, {}, (0, 0), id="off"),
        pytest.param("desktop", b"", {}, (0, 0), id="no report of a focus"),
        pytest.param("desktop", FOCUS_LOST + FOCUS_BACK, {}, (0, 0), id="focused"),
        pytest.param("desktop", FOCUS_LOST, {"HOOKTUI_RESTRICTED": "1"}, (0, 0), id="restricted"),
    ],
)
def test_a_new_alert_is_announced_only_as_set_and_only_without_focus(
    served, client: Client, receiver: Receiver, settings, notify, keys, more, expected
):
    settings(notify)
    with console({**served, **more}, "--account", str(client.id)) as terminal:
        begin(terminal, client, receiver)
        terminal.type(keys)
        terminal.read_until_quiet()
        give_up(client, receiver, "job.failed")
        terminal.read_until(b"! 1 alert")
        terminal.read_until_quiet()
        assert seen_by(terminal) == expected


def test_a_second_alert_within_30_seconds_and_those_of_a_start_are_silent(
    served, client: Client, receiver: Receiver, settings
):
    settings("bell")
    give_up(client, receiver, "job.failed")
    with console(served, "--account", str(client.id)) as terminal:
        begin(terminal, client, receiver)
        terminal.type(FOCUS_LOST)
        terminal.read_until(b"! 1 alert")
        terminal.read_until_quiet()
        assert seen_by(terminal) == (0, 0)
        terminal.output = b""
        for number, event_type in ((2, "job.completed"), (3, "job.submitted")):
            give_up(client, receiver, event_type)
            wait_for(lambda number=number: client.ask(calls.list_alerts(client.id)).total == number)
            terminal.read_until(b"\x07")
            terminal.read_until_quiet()
            terminal.read_until_quiet()
            assert seen_by(terminal) == (1, 0)
