"""Two keys in ``authorized_keys``, an admin's and a viewer's, on the console at once by ssh."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hooktui.client.start import own_environment
from tests.support.installation import PYTHON, Installation
from tests.support.receivers import Receiver
from tests.system import ssh
from tests.system.terminal import Terminal

TAB, ENTER, ESCAPE, SAVE, STOP = "\t", "\r", "\x1b", "\x13", "\x1a"
REASON = ssh.disabled_reason()

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(REASON is not None, reason=REASON or ""),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An installation whose server runs, with one hook."""
    one = Installation(tmp_path_factory.mktemp("installation") / "home")
    one.home.mkdir(mode=0o700)
    one.start()
    try:
        one.create_hook("http://127.0.0.1:9/", "--name", "first")
        yield one
    finally:
        one.stop()


@pytest.fixture(scope="module")
def sshd(home: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ssh.Sshd]:
    """An sshd that lets an admin's and a viewer's key in, to nothing but the console."""
    folder = tmp_path_factory.mktemp("ssh")
    program = folder / "hooktui"
    places = own_environment({"HOOKTUI_HOME": str(home.home)})
    exports = "".join(f"export {name}={shlex.quote(one)}\n" for name, one in places.items())
    program.write_text(f'#!/bin/sh\n{exports}exec {PYTHON} -P -m hooktui "$@"\n')
    program.chmod(0o755)
    confined = f"HOOKTUI_RESTRICTED=1 {program}"
    one = ssh.Sshd(folder / "sshd")
    try:
        one.add_key("admin", f'restrict,pty,command="{confined}"')
        one.add_key("viewer", f'restrict,pty,command="{confined} --role viewer"')
        one.add_key("script", f'restrict,command="{confined} --role viewer hooks secret 1"')
        # What nobody should write: the client's words become arguments. They open nothing either.
        one.add_key("loose", f'restrict,command="{confined} --role viewer $SSH_ORIGINAL_COMMAND"')
        yield one
    finally:
        one.stop()


@pytest.fixture
def log_in(sshd: ssh.Sshd) -> Iterator[Callable[..., Terminal]]:
    """Log in with a key; every terminal is closed afterwards."""
    opened: list[Terminal] = []

    def one(key: str, *options: str, **environ: str) -> Terminal:
        opened.append(sshd.open(key, *options, environ=environ))
        return opened[-1]

    yield one
    for terminal in opened:
        terminal.end()


def test_an_admin_and_a_viewer_are_on_the_console_at_once(
    home: Installation, receiver: Receiver, log_in: Callable[..., Terminal]
) -> None:
    admin, viewer = log_in("admin"), log_in("viewer")
    admin.wait_for("(admin)")
    viewer.wait_for("(viewer)")

    viewer.press("n")
    viewer.wait_for("this needs the role admin; yours is viewer")

    admin.press("n")
    admin.wait_for("Webhook")
    admin.press(ENTER)
    admin.wait_for("All Job Notifications", "^s save")
    admin.press(receiver.url_of("/by-ssh"))
    admin.wait_for("/by-ssh")
    admin.press(TAB + "Made by ssh" + TAB + TAB + " ")
    admin.wait_for("[x] All Job Notifications")
    admin.press(SAVE)
    admin.wait_for("Secret", "How to verify", "whsec_")
    shown = re.search(r"whsec_\S+", admin.text())
    assert shown is not None
    (hook,) = home.json("hooks", "list", "ssh")
    secret = home.json("hooks", "secret", str(hook["id"]))["secret"]
    assert shown[0] == secret

    viewer.wait_for("Made by ssh")
    for key in "sde":
        viewer.press("p")
        viewer.wait_for("this needs the role operator or admin")
        viewer.press(key)
        viewer.wait_for("this needs the role admin")
    viewer.press(ENTER)
    viewer.wait_for("[Deliveries]")
    assert secret.encode() not in viewer.raw
    assert {one["name"] for one in home.json("hooks", "list")} == {"first", "Made by ssh"}

    made, _ = home.json("audit", "list", "--action", "hook.create")
    assert made["role"] == "admin"
    assert 'claimed SSH_CONNECTION="127.0.0.1 ' in made["origin"]

    for terminal in (admin, viewer):
        terminal.press(STOP)
        terminal.press("1")
        terminal.wait_for("Made by ssh", "first")
        terminal.press("q")
        assert terminal.status() == 0
    assert home.run("audit", "verify").returncode == 0


def test_a_key_opens_the_console_and_nothing_else(
    home: Installation, sshd: ssh.Sshd, tmp_path: Path
) -> None:
    proof = tmp_path / "proof"
    for key in ("admin", "viewer"):
        shell = sshd.run(key, f"touch {proof}")
        assert (shell.returncode, shell.stdout) == (2, "")
        assert "the console needs a terminal" in shell.stderr
        assert sshd.run(key, "sftp", options=["-s"]).returncode == 2
        assert sshd.run(key, options=[f"-W127.0.0.1:{sshd.port}"]).returncode == 255
    assert not proof.exists()

    refused = sshd.run("script")
    assert refused.returncode == 4
    assert "this needs the role admin; yours is viewer" in refused.stderr
    (entry,) = home.json("audit", "list", "--result", "refused")
    assert (entry["role"], entry["target"]) == ("viewer", "/v1/hooks/1/secret")
    assert 'claimed SSH_CONNECTION="127.0.0.1 ' in entry["origin"]


def test_words_of_the_client_give_no_higher_role_and_no_file(
    home: Installation, sshd: ssh.Sshd, tmp_path: Path
) -> None:
    assert sshd.run("loose", "status").returncode == 0
    for words, code in (
        ("--role admin hooks secret 1", 2),
        ("hooks secret 1", 4),
        (f"verify --secret @{sshd.folder}/host --signature 00", 4),
        (f"emit job.failed {sshd.folder}/host", 4),
        (f"backup {tmp_path}/copy", 4),
        ("--connect http://127.0.0.1:1 status", 4),
        ("serve", 4),
        ("stop", 4),
    ):
        refused = sshd.run("loose", words)
        assert (refused.returncode, refused.stdout) == (code, ""), (words, refused.stderr)
    assert home.run("status").returncode == 0


def test_the_environment_of_the_client_opens_nothing(
    sshd: ssh.Sshd, log_in: Callable[..., Terminal], tmp_path: Path
) -> None:
    sent = {
        "HOOKTUI_RESTRICTED": "0",
        "HOOKTUI_HOME": str(tmp_path / "mine"),
        "HOOKTUI_ROLE": "admin",
        "TEXTUAL_LOG": str(tmp_path / "log"),
        "TEXTUAL_SCREENSHOT": "0",
        "TEXTUAL_SCREENSHOT_LOCATION": str(tmp_path),
    }
    options = [f"-oSendEnv={name}" for name in sent]
    console = log_in("viewer", *options, **sent)
    console.wait_for("(viewer)")
    console.press("n")
    console.wait_for("this needs the role admin; yours is viewer")
    console.press("q")
    assert console.status() == 0
    made = {name for name in os.listdir(tmp_path) if name in ("log", "mine")}  # noqa: PTH208
    assert made == set()
    assert list(tmp_path.rglob("*.svg")) == []
