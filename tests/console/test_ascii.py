"""Nothing but ASCII reaches a terminal that has nothing else."""

import ast
from pathlib import Path

from rich.segment import Segment
from textual.color import BLACK

import hooktui.console
from hooktui.console.shell.terminal import AsciiFilter
from hooktui.domain.text import visible


def in_ascii(text: str) -> str:
    return "".join(segment.text for segment in AsciiFilter().apply([Segment(text)], BLACK))


def test_what_stands_for_control_characters_has_an_ascii_sign():
    assert in_ascii(visible("a\x1b]0;b\x07\x7f")) == "a?]0;b??"


def test_every_sign_in_the_sentences_of_the_console_has_an_ascii_sign():
    """Red when a sentence has a sign that only `glyphs` may have, such as a new arrow."""
    root = Path(hooktui.console.__file__).parent
    for file in root.rglob("*.py"):
        if file.name in ("glyphs.py", "terminal.py"):
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                said = in_ascii(node.value)
                assert said.isascii(), f"{file.name}:{node.lineno}: {said!r}"
