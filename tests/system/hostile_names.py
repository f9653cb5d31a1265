"""A resolver that answers in hostile words, in every process of an installation.

Nobody is asked over the network: names that end in ``.hostile.test`` fail before the system hears
of them, each in its own way.
"""

from __future__ import annotations

import os
from pathlib import Path

from tests.support.hostile_texts import TEXTS

ZONE = ".hostile.test"
WAYS = {
    "gai": "raise socket.gaierror(socket.EAI_FAIL, WORDS)",
    "os": "raise OSError(5, WORDS)",
    "value": "raise ValueError(WORDS)",
    "address": "return [(socket.AF_INET, socket.SOCK_STREAM, 6, '', (WORDS, 80))]",
}
"""What a look-up does, by the first label of the name."""

_SITE = f"""
import socket
WORDS = {"".join(TEXTS.values())!a}
_ask = socket.getaddrinfo
def getaddrinfo(host, *arguments, **named):
    if not str(host).endswith({ZONE!r}):
        return _ask(host, *arguments, **named)
    way = host.split(".")[0]
"""


def hostile_urls() -> list[str]:
    """Return a URL for each way in which a look-up goes wrong."""
    return [f"http://{way}{ZONE}/in" for way in WAYS]


def resolver_for(folder: Path) -> dict[str, str]:
    """Write the resolver into a folder; return the environment that Python finds it by."""
    ways = "".join(f"    if way == {way!r}:\n        {act}\n" for way, act in WAYS.items())
    (folder / "sitecustomize.py").write_text(f"{_SITE}{ways}\nsocket.getaddrinfo = getaddrinfo\n")
    rest = os.environ.get("PYTHONPATH", "")
    return {"PYTHONPATH": f"{folder}{os.pathsep}{rest}" if rest else str(folder)}
