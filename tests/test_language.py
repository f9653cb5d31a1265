"""Texts, docstrings and documents use no phrase that docs/contribute/glossary.md denies."""

import pytest

from tests.support import language


@pytest.mark.parametrize("kind", ["text", "docstring", "page"])
def test_no_denied_phrase_is_used(kind: str) -> None:
    used = [f"{text.place}: {phrase}" for phrase, text, _ in language.uses() if text.kind == kind]
    assert used == []
