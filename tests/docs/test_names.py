"""Files and tests that the documents name exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted((ROOT / "docs").rglob("*.md"))
_FILE = re.compile(r"`([\w./-]+(?:\.py|/))`")
_ROW = re.compile(r"`([\w/]+\.py)`((?:[:,] `test_\w+`)*)")
_TEST = re.compile(r"`(test_\w+)`")
_FOLDERS = (ROOT, ROOT / "hooktui", ROOT / "hooktui/store", ROOT / "tests")
_ELSEWHERE = ("console/", "themes/", "screenshots/")
"""Folders of an installation, and of the project."""


@cache
def named_tests(file: str) -> frozenset[str]:
    """Return the names of the tests in a file of ``tests/``."""
    tree = ast.parse((ROOT / "tests" / file).read_text())
    found = ast.FunctionDef | ast.AsyncFunctionDef
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, found))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_that_documents_name_exist(document: Path):
    missing = [
        name
        for name in _FILE.findall(document.read_text())
        if name not in _ELSEWHERE and not any((folder / name).exists() for folder in _FOLDERS)
    ]
    assert missing == []


def test_tests_that_guard_something_exist():
    text = (ROOT / "docs/contribute/guards.md").read_text()
    named = [(file, test) for file, some in _ROW.findall(text) for test in _TEST.findall(some)]
    assert len(named) > 400
    assert [one for one in named if one[1] not in named_tests(one[0])] == []
