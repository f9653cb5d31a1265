"""Reaching a server, losing it, and coming back without losing or repeating a line."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from hooktui.client.calls import Call
from hooktui.client.start import start_server
from hooktui.console.app import ConsoleApp
from hooktui.console.frame.screen import front_screen
from hooktui.console.shell import change_feed, server_connection
from hooktui.console.shell.preferences import ConsoleOptions
from hooktui.console.shell.server_connection import ConnectionState
from hooktui.domain.paths import paths_of
from tests.console.client import Client
from tests.console.command_scene import staged
from tests.console.conftest import ROOT, Console
from tests.console.gate import FEED, page
from tests.support.waiting import LIMIT_S


def environ_of(home: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "HOOKTUI_HOME": str(home),
        "HOOKTUI_ALLOW_NETWORKS": "127.0.0.0/8",
    }


def attempts(app: ConsoleApp) -> list[str]:
    return [line.event for _, line in app.log_buffer.since(0)]


async def test_a_lost_server_shows_at_once_and_the_log_goes_on_where_it_stopped(
    tmp_path: Path, receiver
):
    environ = environ_of(tmp_path)
    server = start_server(paths_of(environ), environ)
    client = Client(environ, 1)
    client.hook(receiver.url, name="billing")
    try:
        app = ConsoleApp(environ=environ)
        async with app.run_test(size=(120, 30)) as pilot:
            console = Console(app, pilot)
            await console.shows("● active", "billing")
            sent = [client.emit().id]
            await console.until(lambda: attempts(app) == sent)
            client.close()
            server.terminate()
            server.wait(20)
            await console.until(lambda: app.connection.state is ConnectionState.LOST)
            await console.shows("billing")
            app.screen.notices.clear()
            await console.shows("connection lost, reconnecting…")
            server = start_server(paths_of(environ), environ)
            sent += [client.emit().id for _ in range(3)]
            await console.until(lambda: len(attempts(app)) >= 4)
            assert sorted(attempts(app)) == sorted(sent)
            assert app.connection.state is ConnectionState.CONNECTED
            await console.shows("connected again")
    finally:
        client.close()
        server.terminate()
        server.wait(20)


async def says(console: Console, text: str) -> None:
    """Wait for a text on the screen, wherever its lines are wrapped: before it there is a path."""
    await console.until(lambda: text in " ".join(console.text.split()))


# Red when the console waits for a server as for one that has nothing to report: 55 s.
async def test_a_server_that_hangs_shows_soon(tmp_path: Path, receiver, monkeypatch):
    monkeypatch.setattr(change_feed, "WAIT_S", 1)
    monkeypatch.setattr(change_feed, "RESPONDS_WITHIN_S", 4.0)
    environ = environ_of(tmp_path)
    server = start_server(paths_of(environ), environ)
    client = Client(environ, 1)
    client.hook(receiver.url, name="billing")
    try:
        app = ConsoleApp(environ=environ)
        limits_s: list[float] = []
        send = app.connection.send

        async def noting(call: Call[Any]) -> Any:
            if call.path.startswith("/v1/feed"):
                limits_s.append(call.timeout_s)
            return await send(call)

        monkeypatch.setattr(app.connection, "send", noting)
        async with app.run_test(size=(120, 30)) as pilot:
            console = Console(app, pilot)
            sent = [client.emit().id]
            await console.until(lambda: attempts(app) == sent)
            server.send_signal(signal.SIGSTOP)
            await console.until(lambda: app.connection.state is ConnectionState.LOST)
            await says(console, "did not respond within 4 s; showing the last known data")
            assert "hooktui serve" not in console.text
            front_screen(app).notices.clear()
            await console.shows("the server is not available, trying again…")
            server.send_signal(signal.SIGCONT)
            await console.until(lambda: app.connection.state is ConnectionState.CONNECTED)
            sent += [client.emit().id]
            await console.until(lambda: attempts(app) == sent)
        assert limits_s
        assert max(limits_s) <= 5.0
    finally:
        client.close()
        server.send_signal(signal.SIGCONT)
        server.terminate()
        server.wait(20)


async def test_a_console_that_finds_no_server_starts_one_and_says_that_it_stays(tmp_path: Path):
    environ = environ_of(tmp_path)
    app = ConsoleApp(environ=environ)
    async with app.run_test(size=(120, 30)) as pilot:
        console = Console(app, pilot)
        await console.shows("Hooks", "starting the server…")
        await console.shows("it keeps delivering", "No hooks yet")
    # The console is gone, the server is not.
    client = Client(environ, 1)
    pid = client._client.server_pid()
    client.close()
    assert app.connection.started
    os.kill(pid, 15)


# Red when a console takes a server that hangs for one that is gone, and starts a second one.
async def test_a_server_that_hangs_is_reported_and_none_is_started(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(server_connection, "RESPONDS_WITHIN_S", 0.3)
    environ = environ_of(tmp_path)
    server = start_server(paths_of(environ), environ)
    server.send_signal(signal.SIGSTOP)
    try:
        app = ConsoleApp(environ=environ)
        async with app.run_test(size=(150, 30)) as pilot:
            console = Console(app, pilot)
            await says(console, "did not respond within 0.3 s")
            front_screen(app).notices.clear()
            await console.shows("the server is not available, trying again…")
            await console.shows("Not loaded; the data loads once the server is available.")
            monkeypatch.setattr(server_connection, "RESPONDS_WITHIN_S", LIMIT_S)
            server.send_signal(signal.SIGCONT)
            await console.shows("No hooks yet")
        assert not app.connection.started
    finally:
        server.send_signal(signal.SIGCONT)
        server.terminate()
        server.wait(20)


async def test_a_server_that_cannot_start_is_reported_in_one_line(tmp_path: Path):
    (tmp_path / "config.toml").write_text("this is no toml")
    app = ConsoleApp(environ=environ_of(tmp_path))
    async with app.run_test(size=(150, 30)) as pilot:
        console = Console(app, pilot)
        await console.shows("the server ended during its start")
        await still_answers(console, pilot)


async def test_a_remote_server_that_is_not_there_is_looked_for_and_none_is_started(tmp_path: Path):
    options = ConsoleOptions(connect="http://127.0.0.1:9")
    app = ConsoleApp(options, environ=environ_of(tmp_path))
    async with app.run_test(size=(150, 30)) as pilot:
        console = Console(app, pilot)
        await console.shows("no server responds at http://127.0.0.1:9")
        await still_answers(console, pilot)
    assert not app.connection.started


# Red while the reason went with its notice, and the status line said that no server was found.
async def test_the_status_line_says_why_there_is_no_connection(tmp_path: Path):
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    app = ConsoleApp(ConsoleOptions(connect=address), environ=environ_of(tmp_path))
    async with server, app.run_test(size=(150, 30)) as pilot:
        console = Console(app, pilot)
        await console.shows(f"the server at {address} closed the connection")
        front_screen(app).notices.clear()
        await console.shows(f"not connected, trying again… · the server at {address} closed")
        server.close()
        await console.shows(f"no server responds at {address}")


async def still_answers(console: Console, pilot: Pilot[None]) -> None:
    await pilot.press("question_mark")
    await console.shows("Hooks: keys; Enter runs one")


# Red when the reason is left out as for a server that has ended: a proxy without its server, or a
# certificate that is not trusted any more, looked like a restart that takes long.
async def test_a_server_that_cannot_be_used_any_more_is_lost_with_its_reason(
    client: Client, receiver
):
    async with staged(client, receiver) as scene:
        scene.gate.spoil(FEED, page)
        client.emit()
        await scene.console.until(lambda: scene.app.connection.state is ConnectionState.LOST)
        await scene.console.until(lambda: "it responds 502 with text/html" in scene.notice)
        await scene.console.until(
            lambda: "the server is not available" in scene.app.connection.word
        )


# Red when the log does not say that older lines exist: a filter then seems to have no match.
async def test_the_log_says_that_older_lines_exist(client: Client, monkeypatch):
    client.hook("http://127.0.0.1:9/", name="billing")
    app = client.console()
    async with app.run_test(size=(120, 30)) as pilot:
        await Console(app, pilot).shows("billing", "following")
        assert app.log_buffer.end == 0
    client.hook("http://127.0.0.1:9/", name="invoices")
    monkeypatch.setattr("hooktui.console.shell.change_feed.FIRST_LINES", 1)
    app = client.console()
    async with app.run_test(size=(120, 30)) as pilot:
        await Console(app, pilot).shows("the log begins here; the command hooktui log searches")
