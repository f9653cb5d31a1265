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


# Red when it says that a rotation was interrupted: `keys new` made the key, as the manual says.
def test_a_rotation_to_a_key_that_was_added_says_so(run, server):
    server.will(answer(ROTATED | {"made": False}))
    expected = "encrypted 3 values with k2, a key that existed already\n"
    assert run("keys", "rotate").out == expected


# Red when it "encrypts": the server holds it in memory, and cannot start again without it.
def test_a_key_that_is_no_longer_in_the_file_is_missing_though_it_encrypts(run, server):
    keys = [("k2", False, True, 0), ("k1", True, False, 3)]
    names = ("id", "seals", "present", "values")
    listed = [dict(zip(names, key, strict=True)) for key in keys]
    server.will(answer({"place": "the key file", "keys": listed}))
    unused, missing = run("keys", "list").out.splitlines()
    assert unused.endswith("0 values  is not used")
    assert missing.endswith("3 values  is missing: restore it, or these values are lost")


def test_a_new_key_is_an_object_with_json(run, tmp_path):
    printed = run("keys", "new", "--json").json
    assert [len(printed["id"]), len(printed["key"])] == [8, 44]
    file = tmp_path / "key"
    added = run("keys", "new", str(file), "--json").json
    assert added["file"] == str(file)
    assert f"\n{added['id']} " in file.read_text()


# Red when it is exit 1: the contract has 2 for a file that cannot be read.
def test_a_key_file_that_cannot_be_used_is_a_usage_error(run, tmp_path):
    for file in (tmp_path, tmp_path / "none" / "key"):
        assert run("keys", "new", str(file)).code == 2
