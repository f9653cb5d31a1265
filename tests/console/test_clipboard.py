"""Copying: what reaches the terminal, and what reaches a tmux that the console runs in."""

import base64
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.widgets import Static

from hooktui.console.shell.terminal import MAX_BASE64_BYTES, copy
from tests.console.bare import BareApp

TEXT = 'naïve "text" \x1b[31m\n'


class Terminal(BareApp):
    """Keeps what is written to the terminal past the screen."""

    def __init__(self) -> None:
        super().__init__(Static("x"))
        self.written: list[str] = []

    def on_mount(self) -> None:
        assert self._driver is not None
        self._driver.write = self.written.append  # type: ignore[method-assign]


@pytest.fixture
def outside_tmux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMUX", raising=False)


@pytest.mark.usefixtures("outside_tmux")
async def test_a_copy_is_one_osc_52_sequence_and_the_answer_never_says_copied() -> None:
    app = Terminal()
    async with app.run_test():
        said = await copy(app, TEXT, "the body")
    sent = base64.b64encode(TEXT.encode()).decode()
    assert f"\x1b]52;c;{sent}\a" in app.written
    assert said == "the body sent to the terminal"


@pytest.mark.usefixtures("outside_tmux")
async def test_a_copy_does_not_stay_in_the_app_to_be_pasted() -> None:
    app = Terminal()
    async with app.run_test():
        await copy(app, TEXT, "the secret")
        assert app.clipboard == ""


# Red when a text of half a character ends the console; a filter of an old file may hold one.
@pytest.mark.usefixtures("outside_tmux")
async def test_half_a_character_is_replaced() -> None:
    app = Terminal()
    async with app.run_test():
        await copy(app, "a\ud83db", "the body")
    assert f"]52;c;{base64.b64encode(b'a?b').decode()}" in "".join(app.written)


@pytest.mark.usefixtures("outside_tmux")
async def test_what_no_terminal_takes_is_refused_with_words() -> None:
    app = Terminal()
    async with app.run_test():
        said = await copy(app, "x" * MAX_BASE64_BYTES, "the body")
    assert "too large" in said
    assert not any("]52;" in text for text in app.written)


@pytest.fixture
def tmux(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    program = shutil.which("tmux")
    if program is None:
        pytest.skip("no tmux here")
    command = [program, "-S", str(tmp_path / "tmux"), "-f", "/dev/null"]
    subprocess.run([*command, "new-session", "-d", "sleep 60"], check=True, timeout=10)
    monkeypatch.setenv("TMUX", f"{tmp_path / 'tmux'},0,0")
    yield command
    subprocess.run([*command, "kill-server"], check=True, timeout=10)


def buffer(tmux: list[str]) -> str:
    shown = subprocess.run([*tmux, "show-buffer"], capture_output=True, check=True, timeout=10)
    return shown.stdout.decode()


async def test_inside_tmux_the_text_reaches_its_buffer(tmux: list[str]) -> None:
    app = Terminal()
    async with app.run_test():
        said = await copy(app, TEXT, "the body")
    assert said == "the body sent to the terminal and to tmux's buffer"
    assert buffer(tmux) == TEXT


async def test_a_tmux_that_is_gone_does_no_harm(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TMUX", f"{tmp_path / 'none'},0,0")
    app = Terminal()
    async with app.run_test():
        assert await copy(app, TEXT, "the body") == "the body sent to the terminal"
