"""``hooktui keys new``: a key for a place that the server cannot write, such as a credential."""

from __future__ import annotations

import os
from pathlib import Path

from hooktui.store.keys import create_keys, key_line, load_keys, new_key, replace_keys


def key_for_people() -> str:
    """Return a new key as a line of a key file."""
    return key_line(new_key())


def add_key(file: Path) -> str:
    """Put a new key on top of a key file, or make the file; return the key's id.

    Raises:
        KeyProblem: the file is no key file, may be read by others, or cannot be written.
    """
    key = new_key()
    if os.path.lexists(file):  # of a name that is too long, `Path.exists` raises
        replace_keys(file, [key, *load_keys(file, database_is_new=False)])
    else:
        create_keys(file, [key])
    return key.id.hex()
