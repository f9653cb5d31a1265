"""Writes the parts of the documents that come from the code.

    python -m docs.tools.generate [--check]

A generated part lies between ``<!-- generated: NAME -->`` and ``<!-- end of NAME -->``. With
``--check`` nothing is written, and the exit code is 1 if a document differs from the code.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from docs.tools import api_calls, tables

DOCS: Final = Path(__file__).parent.parent
PARTS: Final[Mapping[str, Callable[[], str]]] = {
    "api": api_calls.calls,
    "commands": tables.commands,
    "decisions": tables.decisions,
    "failpoints": tables.failpoints,
    "keys": tables.keys,
    "line": tables.line_commands,
    "metrics": tables.metrics,
    "settings": tables.settings,
    "snippets": tables.snippets,
}
"""By name, what writes a part."""

_PART = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end of \2 -->)", re.DOTALL)


def generated(text: str) -> str:
    """Return a document with its generated parts as the code has them now.

    Raises:
        KeyError: the document names a part that does not exist.
    """
    return _PART.sub(lambda found: f"{found[1]}\n{PARTS[found[2]]()}\n{found[3]}", text)


def parts_of(text: str) -> list[str]:
    """Return the names of a document's generated parts."""
    return [found[2] for found in _PART.finditer(text)]


def outdated() -> Iterator[tuple[Path, str]]:
    """Yield each document that differs from the code, with the text that it should have."""
    for path in sorted(DOCS.rglob("*.md")):
        text = path.read_text()
        new = generated(text)
        if new != text:
            yield path, new


def main() -> int:
    """Write or compare all documents; return the exit code."""
    check = "--check" in sys.argv[1:]
    found = list(outdated())
    for path, text in found:
        sys.stdout.write(f"{path.relative_to(DOCS.parent)}\n")
        if not check:
            path.write_text(text)
    return 1 if check and found else 0


if __name__ == "__main__":
    sys.exit(main())
