"""Copying through the terminal: OSC 52, and tmux's own way when the console runs inside tmux.

Neither answers, so nobody can say "copied"; only that the text went to the terminal. Measured with
tmux 3.5a: its default configuration drops OSC 52 from a program, ``tmux load-buffer -w -`` reaches
the outer terminal all the same.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from base64 import b64encode
from typing import Final

from textual.app import App

from hooktui.domain.roles import restricted

MAX_BASE64_BYTES: Final = 74_994
"""What terminals take of one OSC 52 sequence (xterm's and tmux's limit, as k9s found it)."""

_TMUX_DEADLINE_S = 2.0


async def copy(app: App[object], text: str, what: str) -> str:
    """Send a text to the terminal's clipboard and return what to tell the admin.

    Args:
        app: whose terminal it is.
        text: what to copy, as it is.
        what: names it in the answer, such as ``secret of hook 12``; never the text itself.
    """
    size = len(b64encode(text.encode("utf-8", "surrogatepass")))
    if size > MAX_BASE64_BYTES:
        return (
            f"{what} is too large for a terminal's clipboard ({len(text):,} characters); "
            "use the command line instead"
        )
    app.copy_to_clipboard(text)
    # Textual keeps the text for pasting into its own inputs; a secret should not stay there.
    app._clipboard = ""
    if os.environ.get("TMUX") and not restricted(os.environ) and await _to_tmux(text):
        return f"{what} sent to the terminal and to tmux's buffer"
    return f"{what} sent to the terminal"


async def _to_tmux(text: str) -> bool:
    """Hand the text to tmux, which passes it on to its own terminal; tell whether it took it."""
    tmux = shutil.which("tmux")
    if tmux is None:
        return False
    process = await asyncio.create_subprocess_exec(
        tmux, "load-buffer", "-w", "-",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        await asyncio.wait_for(process.communicate(text.encode()), _TMUX_DEADLINE_S)
    except TimeoutError:
        process.kill()
        await process.wait()
        return False
    return process.returncode == 0
