"""Texts are plain English: phrases of the deny-list in docs/glossary.md may only become fewer."""

import pytest

from tests import language

MOST = {"text": 113, "docstring": 465, "page": 301}


@pytest.mark.parametrize("kind", MOST)
def test_denied_phrases_become_fewer(kind: str) -> None:
    assert language.counts()[kind] <= MOST[kind]
