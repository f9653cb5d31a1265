"""What a unit says about its user and its keys."""

from __future__ import annotations

import pytest

from hooktui.cli.systemd_unit import unit
from hooktui.offline.service_user import CredentialSource, read_unit

PLAIN = CredentialSource("hooktui.key", encrypted=False)


def test_the_unit_that_hooktui_prints_is_understood() -> None:
    found = read_unit([unit([])])
    assert (found.user, found.keys) == ("hooktui", (PLAIN,))


@pytest.mark.parametrize(
    ("more", "keys"),
    [
        ("LoadCredential=", []),
        ("LoadCredential=hooktui.key:/keys/one", [("/keys/one", False)]),
        ("LoadCredentialEncrypted=hooktui.key", [("hooktui.key", True)]),
        ("LoadCredentialEncrypted=hooktui.key:/k y/o:ne", [("/k y/o:ne", True)]),
        ("LoadCredential=other:/x", []),
        ("# LoadCredential=hooktui.key", []),
        ("; LoadCredential=hooktui.key", []),
        ("  LoadCredential = hooktui.key  ", [("hooktui.key", False)]),
        ("LoadCredential=hooktui.key:\\\n/keys/one", [("/keys/one", False)]),
        ("[Unit]\nLoadCredential=hooktui.key", []),
    ],
)
def test_keys_come_from_where_the_last_word_says(more, keys) -> None:
    """Red when an empty assignment, a path, a comment or a section is not read as systemd does."""
    found = read_unit(
        ["[Service]\nLoadCredential=hooktui.key\n", f"[Service]\nLoadCredential=\n{more}"]
    )
    assert [(one.path, one.encrypted) for one in found.keys] == keys


def test_the_last_user_counts() -> None:
    texts = ["[Service]\nUser=hooktui\n", "[Service]\nUser=ada\n"]
    assert read_unit(texts).user == "ada"
    assert read_unit([*texts, "[Service]\nUser=\n"]).user is None
    assert read_unit(["User=hooktui\n"]).user is None
