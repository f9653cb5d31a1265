"""Counts phrases of the deny-list in texts for users, docstrings and pages.

    python -m tests.support.language [PHRASE]

prints the counts that `tests.test_language` holds, or each place of a phrase.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]

DENIED = (
    r"told",
    r"tells?(?! (?:whether|apart|them apart))",
    r"whoever",
    r"anew",
    r"afresh",
    r"somebody",
    r"stands?(?! (?:for|by|out))",
    r"go(?:es)? on",
    r"for ever",
    r"worth(?:less| nothing)",
    r"giv(?:e|es|en|ing) back",
    r"house",
    r"manners",
    r"moods?",
    r"crowd",
    r"strangers?",
    r"lets? (?:us|in|not in)",
    r"in clear",
    r"mend(?:s|ed)?",
    r"turn(?:s|ed)? round",
    r"(?<!there )(?:is|are) no (?!longer)[\w-]+",
    r"this once",
    r"left alone",
    r"under way",
    r"tid(?:y|ies|ied)",
    r"taken back",
    r"brought back",
    r"gone for good",
    r"not asked",
    r"next tr(?:y|ies)",
)
DENIED_IN_TEXTS = (r"answer(?:s|ed)?",)
"""Denied in texts and pages alone, for the response of a receiver or server."""
GENERATED = re.compile(r"<!-- generated: (\w+) -->.*?<!-- end of \1 -->", re.DOTALL)
"""A part of a page that `docs.tools.generate` writes."""
ALLOWED: dict[str, tuple[str, ...]] = {
    r"answer(?:s|ed)?": ("hooktui/domain/deliveries.py",),  # the reason stored of a disabled hook
    r"mend(?:s|ed)?": ("hooktui/domain/home_rules.py",),  # the level of a flaw
}
"""Where a phrase is the right term: a phrase, and the places that may use it."""


class Text(NamedTuple):
    """Something that a person reads.

    Attributes:
        kind: ``text`` (a string of the program), ``docstring`` or ``page``.
        place: path from the project's root, with the line of a string.
        text: as it is written.
    """

    kind: str
    place: str
    text: str


def texts() -> Iterator[Text]:
    """Yield all strings with a blank in them, all docstrings, and all pages.

    Generated parts of pages are left out: their texts are counted in the code.
    """
    for path in sorted((ROOT / "hooktui").rglob("*.py")):
        tree = ast.parse(path.read_text())
        bare = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
                kind = "docstring" if id(node) in bare else "text"
                yield Text(kind, f"{path.relative_to(ROOT)}:{node.lineno}", node.value)
    glossary = ROOT / "docs/contribute/glossary.md"  # it lists the phrases
    pages = set((ROOT / "docs").rglob("*.md")) - {glossary}
    for path in (ROOT / "README.md", ROOT / "SECURITY.md", *sorted(pages)):
        yield Text("page", str(path.relative_to(ROOT)), GENERATED.sub("", path.read_text()))


def uses() -> Iterator[tuple[str, Text, str]]:
    """Yield each use of a denied phrase: the phrase, where, and the words around it."""
    everything = list(texts())
    for phrase in (*DENIED, *DENIED_IN_TEXTS):
        pattern = re.compile(rf"(?<![\w-]){phrase}(?![\w-])", re.IGNORECASE)
        for text in everything:
            if phrase in DENIED_IN_TEXTS and text.kind == "docstring":
                continue
            if text.place.startswith(ALLOWED.get(phrase, ())):
                continue
            for match in pattern.finditer(text.text):
                around = text.text[max(match.start() - 40, 0) : match.end() + 40]
                yield phrase, text, " ".join(around.split())


def counts() -> Counter[str]:
    """Return how many uses each kind of text has."""
    return Counter(text.kind for _, text, _ in uses())


if __name__ == "__main__":
    if len(sys.argv) > 1:
        for phrase, text, around in uses():
            if sys.argv[1] in (phrase, text.kind):
                print(f"{text.place}: {around}")
    else:
        for kind, count in counts().items():
            print(f"{kind:10} {count:5}")
