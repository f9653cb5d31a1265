"""No secret is found in clear anywhere but in the answers of the calls that exist for it.

Secrets of every kind are planted, a day's work is done around them (with faults, bad input and a
log at its most talkative), and whatever came out is searched: answers, output, logs, pictures,
command lines, environments, and every file down to the write-ahead log and free pages.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from hooktui import failpoints
from tests.support.installation import Installation, LocalInstallation
from tests.support.postgres import running
from tests.support.receivers import receiving
from tests.support.waiting import wait_for
from tests.system.canary import Canaries, EchoingReceiver, Processes, forms
from tests.system.canary_work import (
    Planted,
    do_the_work,
    give_bad_input,
    lose_events,
    plant_key,
    read_everything,
    run_the_commands,
)
from tests.system.terminal import Terminal, open_terminal

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

TALKATIVE = """
import logging, sys
from hooktui import failpoints
from hooktui.server import logs, run
from hooktui.cli.main import main
logs.RateFilter.AT_ONCE = 10**9
as_ever = logs.log_to_stderr
def everything(**options):
    as_ever(**options)
    for name in ("", "hooktui"):
        logging.getLogger(name).setLevel(logging.DEBUG)
run.log_to_stderr = everything
sys.exit(main(["serve", *sys.argv[1:]]))
"""
FAULTS = "before_send:error@2,before_record_commit:error@2,before_key_switch_commit:error"

FAULTY_CONSOLE = """
import sys
from hooktui.cli.main import main
from hooktui.console.frame.revealing import RevealTimer
def tick(timer):
    screen = timer._screen
    screen.app.save_screenshot("picture.svg", path=sys.argv[1])
    raise RuntimeError(f"{screen.lines.value_under_cursor()} {screen.lines._known!r}")
RevealTimer._tick = tick
sys.exit(main([]))
"""
LEFT = b"\x1b[?1049l"
"""What gives the terminal's own screen back."""


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.soak)])
def planted(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Planted]:
    home = LocalInstallation(tmp_path / "home")
    home.home.mkdir(mode=0o700)
    canaries = Canaries()
    password = canaries.plant("database password", "dbpw" + secrets.token_hex(12))
    if request.param == "sqlite":
        yield Planted(home, canaries, password)
        home.stop()
        return
    loud = {"log_statement": "all", "log_min_messages": "info", "log_min_error_statement": "info"}
    with running(**loud) as postgres:
        _make_role(postgres.url(), password)
        address = f"postgresql://ada:{password}@127.0.0.1:{postgres.port}/hooks"
        config = home.home / "config.toml"
        config.touch(0o600)
        config.write_text(f'database_url = "{address}"\n')
        yield Planted(home, canaries, password, postgres.folder)
        home.stop()


def _make_role(url: str, password: str) -> None:
    async def make() -> None:
        admin = await asyncpg.connect(url)
        await admin.execute("SET log_statement = none")
        await admin.execute(f"CREATE ROLE ada LOGIN PASSWORD '{password}'")
        await admin.execute("CREATE DATABASE hooks OWNER ada")
        await admin.close()

    asyncio.run(make())


def test_the_search_finds_each_form() -> None:
    secret = b'whsec_"q\\' + secrets.token_bytes(24).hex().encode()
    for form, needle in forms(secret).items():
        canaries = Canaries({"it": secret}, [("there", b"before " + needle + b" behind")])
        assert f"there: it ({form})" in canaries.found()


def test_no_secret_is_found_in_clear(planted: Planted, tmp_path: Path) -> None:
    """Red when a secret is stored, logged, echoed or shown anywhere; each guard by its place."""
    canaries, mark = planted.canaries, secrets.token_hex(8)
    planted.home.environ |= {"CANARY_MARK": mark, "PYTHONASYNCIODEBUG": "1"}
    with Processes(mark) as processes, receiving(EchoingReceiver()) as receiver:
        _start_talkative(planted)
        hook = do_the_work(planted, receiver.url, tmp_path)
        lose_events(planted, receiver.url, tmp_path)
        give_bad_input(planted, receiver.url)
        read_everything(planted, hook)
        run_the_commands(planted, tmp_path)
        _look_at_the_console(planted, hook, tmp_path)
        planted.home.kill()
    assert len(processes.command_lines) > 3
    for line in processes.command_lines:
        canaries.look_at(f"command line {line[:80]!r}", line)
    for environment in processes.environments:
        canaries.look_at("environment of a process", environment)
    _look_at_the_files(planted)
    log = planted.home.log.read_bytes()
    assert b"Traceback" in log
    assert b" DEBUG " in log
    assert len(canaries.secrets) == 14
    assert canaries.found() == []


def _start_talkative(planted: Planted) -> None:
    home = planted.home
    with home.log.open("ab") as log:
        home.server = subprocess.Popen(
            [sys.executable, "-c", TALKATIVE, "--listen", "127.0.0.1:0"],
            env=home.environ | failpoints.environment(FAULTS),
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    wait_for(lambda: home.run("status").returncode == 0, 60, "the server answers")
    plant_key(planted, "first key")


def _look_at_the_console(planted: Planted, hook: int, folder: Path) -> None:
    """Look around without revealing anything; then reveal, take a picture, and break."""
    console = _console(planted, "-m", "hooktui")
    try:
        console.wait_for("n new", "first")
        _go(console, "\r", f"Hook {hook}", "dlv_")
        _go(console, "s", "How to verify", "masked")
        _go(console, "\x1b", "dlv_")
        _go(console, "e", "Edit hook")
        _go(console, "\t" * 30, "Edit hook")
        _go(console, "\x1b", "dlv_")
        _go(console, "\r", "Delivery dlv_")
        _go(console, "\x1b[6~\x1b[6~b", "Delivery dlv_")
        _go(console, "8", "All", "cluster.error")
        _go(console, "]", "[Undelivered]", "third", "http_5xx")
        _go(console, "\r", "cause:http_5xx", "[All]", "third")
        _go(console, "8]", "[Undelivered]", "third")
        _go(console, "]", "[Replays]", "third")
        _go(console, "\r", "Replay rpl_")
        _go(console, "9", "Alerts", "given up, http_5xx")
        _go(console, "1", "n new", "first")  # where the next console begins
        _go(console, "\x11")
        assert console.status() == 0
        planted.canaries.look_at("the console", console.raw)
    finally:
        console.end()
    secret = planted.canaries.secrets["made secret"].decode()
    console = _console(planted, "-c", FAULTY_CONSOLE, str(folder))
    try:
        console.wait_for("n new", "second")
        _go(console, "\x1b[B\r", f"Hook {hook + 1}", "dlv_")
        _go(console, "s", "How to verify", "masked")
        _go(console, "v")
        assert console.status() == 1
        before, _, after = console.raw.rpartition(LEFT)
        assert secret.encode() in before
        planted.canaries.look_at("what a broken console leaves", after)
    finally:
        console.end()
    assert secret.removeprefix("whsec_") not in (folder / "picture.svg").read_text()
    assert "RuntimeError" in (planted.home.home / "console.log").read_text()
    planted.canaries.look_at("a picture", (folder / "picture.svg").read_bytes())


def _console(planted: Planted, *arguments: str) -> Terminal:
    environ = {name: value for name, value in planted.home.environ.items() if name != "NO_COLOR"}
    return open_terminal([sys.executable, *arguments], environ)


def _go(console: Terminal, keys: str, *texts: str) -> None:
    """Press keys once all is drawn, and wait for texts of the place they lead to."""
    silent = 0
    while silent < 4:
        before = len(console.raw)
        console.read()
        silent = silent + 1 if len(console.raw) == before else 0
    console.press(keys)
    console.wait_for(*texts, within_s=30)


def _look_at_the_files(planted: Planted) -> None:
    home = planted.home.home
    planted.canaries.look_into(home, but=("hooktui.key", "config.toml"))
    looked = {where for where, _ in planted.canaries.seen}
    if planted.data is None:
        assert {"hooktui.db", "hooktui.db-wal", "copy.db", planted.home.log.name} <= looked
        return
    planted.canaries.look_at("PostgreSQL's log", (planted.data / "log").read_bytes())
    planted.canaries.look_into(planted.data / "data" / "pg_wal")
    newest = max((planted.data / "data" / "base").iterdir(), key=lambda one: int(one.name))
    planted.canaries.look_into(newest)


def test_a_server_that_a_console_starts_is_given_no_token(idle_home: Installation) -> None:
    """Red when the environment of the console goes to its server whole: it stays for weeks."""
    token = f"hkt_1_{secrets.token_hex(16)}"
    # A forked console would show another process's environment in /proc.
    environ = idle_home.environ | {"HOOKTUI_TOKEN": token, "PYTHONNOUSERSITE": "1"}
    console = open_terminal([sys.executable, "-m", "hooktui"], environ)
    try:
        console.wait_for("n new")
        wait_for(lambda: idle_home.run("status").returncode == 0, what="the server answers")
        pid = idle_home.json("status")["servers"][0]["pid"]
        assert token.encode() in Path(f"/proc/{console.pid}/environ").read_bytes()
        assert token.encode() not in Path(f"/proc/{pid}/environ").read_bytes()
        console.press("\x11")
        assert console.status() == 0
    finally:
        console.end()
        idle_home.ok("stop")
    canaries = Canaries()
    canaries.plant("token", token)
    canaries.look_into(idle_home.home)
    assert os.path.lexists(idle_home.home / "server.log")
    assert canaries.found() == []
