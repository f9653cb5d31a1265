"""Who may own and write a home."""

from __future__ import annotations

import shlex
import stat

import pytest

from hooktui.domain.home_rules import FileEntry, Part, flaws_of

ME, ELSE = 1000, 1001
FOLDER, FILE, LINK, SOCKET = stat.S_IFDIR, stat.S_IFREG, stat.S_IFLNK, stat.S_IFSOCK


def levels(part: Part, mode: int, uid: int = ME, *, shared_group: bool = True) -> list[str]:
    return [flaw.level for flaw in flaws_of([FileEntry("/x", part, mode, uid, shared_group)], ME)]


@pytest.mark.parametrize("sticky", [0, stat.S_ISVTX])
@pytest.mark.parametrize("group", range(8))
@pytest.mark.parametrize("others", range(8))
def test_a_home_is_refused_exactly_when_others_may_write_it(sticky, group, others) -> None:
    mode = FOLDER | sticky | 0o700 | group << 3 | others
    refused = "refused" in levels("home", mode)
    assert refused == bool((group | others) & 2)
    assert ("refused" in levels("home", mode, shared_group=False)) == bool(others & 2)
    assert ("refused" in levels("parent", mode)) == (bool((group | others) & 2) and not sticky)


@pytest.mark.parametrize(("part", "kind"), [("parent", FOLDER), ("parent", LINK), ("home", FOLDER)])
def test_a_folder_of_another_user_is_refused(part, kind) -> None:
    assert levels(part, kind | 0o755, ELSE) == ["refused", *(["minor"] * (part == "home"))]
    # Root owns most folders above a home, and no home of an ordinary user.
    assert ("refused" in levels(part, kind | 0o700, 0)) == (part == "home")


@pytest.mark.parametrize("part", ["private", "key", "socket"])
@pytest.mark.parametrize("kind", [LINK, FOLDER, stat.S_IFIFO, stat.S_IFCHR])
def test_neither_a_link_nor_anything_odd_is_taken_for_a_file(part, kind) -> None:
    assert levels(part, kind | 0o600)[0] == "refused"


@pytest.mark.parametrize("mode", [0o604, 0o620, 0o640, 0o644, 0o660, 0o666, 0o777])
def test_a_file_that_others_may_open_is_corrected_and_a_key_is_not(mode) -> None:
    assert levels("private", FILE | mode) == ["corrected"]
    assert levels("key", FILE | mode) == ["serious"]


def test_a_file_of_another_user_is_refused_and_a_key_of_root_is_not() -> None:
    assert levels("private", FILE | 0o600, ELSE) == ["refused"]
    assert levels("private", FILE | 0o600, 0) == ["refused"]
    assert levels("key", FILE | 0o600, 0) == []
    assert levels("key", FILE | 0o600, ELSE) == ["serious"]


def test_what_is_right_is_left_alone() -> None:
    assert levels("home", FOLDER | 0o750) == levels("home", FOLDER | 0o700) == []
    assert levels("private", FILE | 0o600) == levels("socket", SOCKET | 0o660) == []
    assert levels("parent", FOLDER | 0o1777, 0) == levels("parent", LINK | 0o777, 0) == []


@pytest.mark.parametrize(
    ("part", "mode", "uid"),
    [
        ("parent", FOLDER | 0o755, ELSE), ("home", FOLDER | 0o755, ELSE),
        ("home", FOLDER | 0o777, ME), ("private", FILE | 0o644, ELSE), ("key", FILE | 0o644, ME),
        ("socket", SOCKET | 0o666, ME),
    ],
)  # fmt: skip
def test_a_command_names_a_path_with_a_space_as_one_word(part, mode, uid) -> None:
    """Red without quotes: ``chown 1000 /srv/a b`` gives away /srv/a."""
    flaws = flaws_of([FileEntry("/srv/a b", part, mode, uid, shared_group=True)], ME)
    assert {shlex.split(flaw.fix)[-1] for flaw in flaws} == {"/srv/a b"}
