"""The ownership and permission rules of a home, which `serve` enforces and `doctor` reports.

They follow sshd's StrictModes. A user who can write a folder above the home can replace the home,
and a user who can write the home can put links and databases into it.
"""

from __future__ import annotations

import shlex
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

Part = Literal["parent", "home", "private", "key", "socket"]
"""The purpose of an entry: a folder or link above the home, the home, a private file of the server
(database, log, lock), the key file, the socket."""

Level = Literal["refused", "corrected", "serious", "minor"]
"""``refused``: no server starts. ``corrected``: a start sets the mode right. ``serious`` and
``minor``: only `doctor` reports it; the reader of a key file checks the key file."""

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_ROOT = 0


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One name in a file system; a link itself, not its target.

    ``part`` is its purpose; ``mode`` is kind and permissions, as ``st_mode``; ``shared_group``
    says whether its group has members besides the owner and root.
    """

    path: str
    part: Part
    mode: int
    uid: int
    shared_group: bool = True


@dataclass(frozen=True, slots=True)
class Flaw:
    """A fault of an entry, and the command that corrects it."""

    level: Level
    what: str
    fix: str


def flaws_of(entries: Iterable[FileEntry], uid: int) -> list[Flaw]:
    """Return the faults of a home's files for a server that runs as a user."""
    rules = {"parent": _of_parent, "home": _of_home}
    return [flaw for one in entries for flaw in rules.get(one.part, _of_file)(one, uid)]


def _of_parent(entry: FileEntry, uid: int) -> Iterator[Flaw]:
    if entry.uid not in (_ROOT, uid):
        yield Flaw(
            "refused",
            f"{entry.path} belongs to another user (uid {entry.uid}), who can replace the home",
            f"chown {uid} {_word(entry)}",
        )
    if stat.S_ISDIR(entry.mode) and not entry.mode & stat.S_ISVTX:
        yield from _writable(entry)


def _of_home(entry: FileEntry, uid: int) -> Iterator[Flaw]:
    if not stat.S_ISDIR(entry.mode):
        yield Flaw("refused", f"{entry.path} is not a folder", "set HOOKTUI_HOME to a folder")
        return
    if entry.uid != uid:
        yield Flaw(
            "refused",
            f"{entry.path} belongs to uid {entry.uid}, but the server runs as uid {uid}",
            f"run it as its owner, or chown -R {uid} {_word(entry)}",
        )
    writable = list(_writable(entry))
    yield from writable
    if not writable and entry.mode & 0o027:
        yield Flaw("minor", f"{entry.path} has mode {_mode(entry)}", f"chmod 750 {_word(entry)}")


def _writable(entry: FileEntry) -> Iterator[Flaw]:
    mode = entry.mode & _OTHERS_WRITE
    if not entry.shared_group:  # the private group of a user, where umask 002 is usual
        mode &= ~stat.S_IWGRP
    if mode:
        who = "g" * bool(mode & stat.S_IWGRP) + "o" * bool(mode & stat.S_IWOTH)
        what = f"{entry.path} may be written by others (mode {_mode(entry)})"
        yield Flaw("refused", what, f"chmod {who}-w {_word(entry)}")


def _of_file(entry: FileEntry, uid: int) -> Iterator[Flaw]:
    if stat.S_ISLNK(entry.mode):
        yield Flaw(
            "refused",
            f"{entry.path} is a link, which is not followed there",
            f"replace {entry.path} with the file itself, or set HOOKTUI_HOME or"
            " HOOKTUI_DATABASE_URL to where it is",
        )
        return
    right = stat.S_ISSOCK if entry.part == "socket" else stat.S_ISREG
    if not right(entry.mode):
        kind = "socket" if entry.part == "socket" else "file"
        yield Flaw("refused", f"{entry.path} is not a {kind}", f"move {entry.path} elsewhere")
        return
    if entry.uid != uid and not (entry.part == "key" and entry.uid == _ROOT):
        level: Level = "refused" if entry.part == "private" else "serious"
        what = f"{entry.path} belongs to uid {entry.uid}, but the server runs as uid {uid}"
        yield Flaw(level, what, f"chown {uid} {_word(entry)}")
    yield from _of_mode(entry)


def _of_mode(entry: FileEntry) -> Iterator[Flaw]:
    what = f"{entry.path} has mode {_mode(entry)}"
    if entry.part == "socket":
        if entry.mode & 0o117:
            yield Flaw("minor", what, f"chmod 660 {_word(entry)}")
    elif entry.mode & 0o077:
        level: Level = "corrected" if entry.part == "private" else "serious"
        yield Flaw(level, what, f"chmod 600 {_word(entry)}")


def _word(entry: FileEntry) -> str:
    return shlex.quote(str(entry.path))


def _mode(entry: FileEntry) -> str:
    return f"{stat.S_IMODE(entry.mode):o}"
