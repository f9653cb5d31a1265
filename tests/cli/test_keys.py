"""``hooktui keys``: a rotation that removes the old key asks before it, in a terminal."""

from __future__ import annotations

import io
import sys

import pytest

from hooktui.cli.main import main
from tests.support.scripted_server import answer

ROTATED = {
    "key": "k2", "made": True, "sealed": 3, "left": 0, "dropped": ["k1"], "kept": [],
    "place": "the key file",
}  # fmt: skip


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


# Red when the old key goes without a question: backups from before it were unreadable.
@pytest.mark.parametrize(
    ("options", "typed", "done"),
    [
        ((), "n\n", False),
        ((), "\n", False),
        ((), "y\n", True),
        (("--yes",), "", True),
        (("--keep-old",), "", True),
    ],
)
def test_a_rotation_asks_in_a_terminal(environ, server, monkeypatch, capsys, options, typed, done):
    server.will(answer(ROTATED))
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    code = main(["keys", "rotate", *options], environ)
    assert (code == 0, bool(server.asked)) == (done, done)
    assert ("cannot be restored" in capsys.readouterr().err) == bool(typed)


def test_a_rotation_by_a_program_is_not_asked_and_says_what_it_removed(run, server):
    server.will(answer(ROTATED))
    result = run("keys", "rotate")
    assert result.code == 0
    assert "removed k1 from the key file; backups from before need it" in result.err
