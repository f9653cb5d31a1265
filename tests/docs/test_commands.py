"""Command lines in the documents are ones that hooktui accepts."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclopts import CycloptsError, MissingArgumentError

from docs.tools.generate import DOCS
from hooktui.cli.exit_codes import UsageError
from hooktui.cli.main import command_table
from hooktui.cli.options import split_options

ROOT = DOCS.parent
DOCUMENTS = (ROOT / "README.md", ROOT / "SECURITY.md", *sorted(DOCS.rglob("*.md")))
_GENERATED = re.compile(r"<!-- generated: (\w+) -->.*?<!-- end of \1 -->", re.DOTALL)
_INLINE = re.compile(r"`((?:HOOKTUI_\w+=\S+ )*hooktui [^`\n]*)`")
_BLOCK = re.compile(r"^ *```sh\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_PLACEHOLDER = re.compile(r"\b(?:N|V|ID)\b")
_NAME_ALONE = re.compile(r"hooktui(?: [a-z]+)+")
"""A command that a sentence names without its arguments."""
_ENDS = re.compile(r"\s(?:\||\|\||&&|&|>|<|;)(?:\s|$)|\$\(|<\(")
"""Where a command of ours ends in a line of a shell."""


def command_lines(text: str) -> Iterator[str]:
    """Yield each command line of a document, as far as hooktui reads it."""
    text = _GENERATED.sub("", text)
    lines = list(_INLINE.findall(text))
    for block in _BLOCK.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            lines += [f"hooktui {part}" for part in re.split(r"(?:^|[\s|(])hooktui ", line)[1:]]
    for line in lines:
        yield _ENDS.split(line[line.index("hooktui ") :].replace(r"\|", "|"))[0]


def words(line: str) -> list[str]:
    """Return the arguments of a command line; a number in place of a placeholder for one."""
    found = shlex.split(_PLACEHOLDER.sub("1", line).replace("…", "x"), comments=True)
    return found[1:]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_command_lines_are_accepted(document: Path):
    """Red when a document shows a command or an option that does not exist."""
    wrong = []
    table = command_table()
    for line in command_lines(document.read_text()):
        try:
            _, arguments = split_options(words(line))
            if arguments and not arguments[0].startswith("-"):
                table.parse_args(arguments, exit_on_error=False, print_error=False)
        except MissingArgumentError as error:
            if not _NAME_ALONE.fullmatch(line):
                wrong.append(f"{line}: {error}")
        except (CycloptsError, UsageError, ValueError) as error:
            wrong.append(f"{line}: {error}")
    assert wrong == []


def test_command_lines_are_found():
    found = list(command_lines((ROOT / "README.md").read_text()))
    assert "hooktui hooks ping 1" in found
    assert "hooktui emit job.failed" in found
