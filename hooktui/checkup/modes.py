"""The files of a home: whose they are, and who else may read or write them."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from hooktui.domain.checks import Check
from hooktui.domain.places import Places
from hooktui.homes import home_flaws

_SECRET = re.compile(r"://[^\s/@:]*:[^\s/@]+@|[?&]password=|\bhkt_|\bwhsec_")
"""A password in an address, a token, the secret of a hook."""


def check_modes(where: Places) -> Check:
    """Look at home, database, key file, socket and settings, as far as they are there."""
    try:
        found = list(_complaints(where))
    except PermissionError as error:
        return Check(
            "modes",
            "warn",
            f"{error.filename} may not be seen by you",
            "run this as the server's user",
        )
    if not found:
        return Check("modes", "ok", "home, database, key file, socket and settings are safe")
    return Check(
        "modes",
        "fail" if any(serious for serious, _, _ in found) else "warn",
        "; ".join(what for _, what, _ in found),
        "; ".join(dict.fromkeys(fix for _, _, fix in found)),
    )


def _complaints(where: Places) -> Iterator[tuple[bool, str, str]]:
    """Tell what is wrong: whether that is serious, in words, and the command that corrects it."""
    home = _status(where.home)
    owner = os.geteuid() if home is None else home.st_uid
    for flaw in home_flaws(where, os.geteuid()):
        note = " (the next start does it)" if flaw.level == "mended" else ""
        yield flaw.level != "minor", flaw.what, flaw.fix + note
    yield from _complaints_of_settings(where.config, owner)
    if where.service:
        yield from _complaints_of_service(where.config, owner)


def _complaints_of_service(config: Path, owner: int) -> Iterator[tuple[bool, str, str]]:
    """Tell whether the service, once taken over, could open private networks to itself."""
    for path, right in ((config.parent, "755"), (config, "640")):
        status = _status(path)
        if status is None or owner == 0:
            continue
        if status.st_uid == owner or status.st_mode & stat.S_IWOTH:
            command = f"chown root {path} && chmod {right} {path}"
            yield False, f"the service's user may change {path}", command
        elif status.st_mode & stat.S_IWGRP:
            yield False, f"the group of {path} may change it", f"chmod {right} {path}"


def _complaints_of_settings(config: Path, owner: int) -> Iterator[tuple[bool, str, str]]:
    """Tell whether others may read settings that hold a secret.

    Where the file is not the server's own, its group has to read it: that is the server's.
    """
    status = _status(config)
    if status is None:
        return
    mask, right = (0o077, "600") if status.st_uid == owner else (0o027, "640")
    mode = stat.S_IMODE(status.st_mode)
    if mode & mask and _SECRET.search(config.read_text(encoding="utf-8", errors="replace")):
        what = f"{config} holds a password or a token and has mode {mode:o}"
        yield True, what, f"chmod {right} {config}"


def _status(file: Path) -> os.stat_result | None:
    try:
        return file.stat()
    except FileNotFoundError:
        return None
