"""Commands for other users, where the interpreter or the checkout are private."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import hooktui

CHECKOUT = Path(hooktui.__file__).parents[1]
_OPEN = """
set -e
IFS='
'
staged=$(mktemp -d)
count=0
for path in $NEEDED; do
  mkdir "$staged/$count"; mount --bind "$path" "$staged/$count"; count=$((count + 1))
done
for path in $CLOSED; do mount -t tmpfs -o mode=755 none "$path"; done
count=0
for path in $NEEDED; do
  mkdir -p "$path"; mount --move "$staged/$count" "$path"; rmdir "$staged/$count"
  count=$((count + 1))
done
rmdir "$staged"
exec "$@"
"""


def can_open() -> bool:
    """Return whether a mount namespace can be made, as not in a chroot or a small container."""
    if shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode == 0


def opened(command: list[str]) -> list[str]:
    """Return a command that other users can go on with, where interpreter or checkout are private.

    In a mount namespace of its own each folder that is closed to others is replaced by an open one
    that holds what the program needs.
    """
    paths = [Path(one).resolve() for one in (sys.base_prefix, sys.prefix, CHECKOUT)]
    closed = {path: _closed_above(path) for path in paths}
    needed = [one for one in paths if closed[one] and not any(
        one != other and one.is_relative_to(other) and closed[other] for other in paths
    )]  # fmt: skip
    if not needed or os.geteuid() != 0:
        return command
    folders = {str(closed[one]) for one in needed}
    names = {"NEEDED": "\n".join(map(str, needed)), "CLOSED": "\n".join(sorted(folders))}
    environ = [f"{name}={value}" for name, value in names.items()]
    return ["unshare", "-m", "env", *environ, "sh", "-c", _OPEN, "sh", *command]


def _closed_above(path: Path) -> Path | None:
    """Return the topmost folder on the way to a path that others cannot search."""
    for folder in reversed([path, *path.parents]):
        if not folder.stat().st_mode & 0o001:
            return folder
    return None
