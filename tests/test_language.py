"""Texts, docstrings and documents use no phrase that docs/contribute/glossary.md denies."""

from tests.support import language


def test_no_denied_phrase_is_used() -> None:
    used = [f"{text.kind} {text.place}: {phrase}" for phrase, text, _ in language.uses()]
    assert used == []
