"""Texts are plain English: phrases of docs/contribute/glossary.md may only become fewer."""

import pytest

from tests import language

MOST = {"text": 60, "docstring": 20, "page": 0}


@pytest.mark.parametrize("kind", MOST)
def test_denied_phrases_become_fewer(kind: str) -> None:
    assert language.counts()[kind] <= MOST[kind]
