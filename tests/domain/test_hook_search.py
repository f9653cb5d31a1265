"""The search for hooks: words, status:, and what it refuses."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooktui.domain.filters.hook_search import HookState, HookTerm, parse_hook_search
from hooktui.domain.filters.parser import FilterError


def test_words_stay_words_with_their_colons():
    assert parse_hook_search("billing  http://x:9/a -test - job") == (
        HookTerm("billing"),
        HookTerm("http://x:9/a"),
        HookTerm("test", negated=True),
        HookTerm("-"),
        HookTerm("job"),
    )


def test_a_status_is_one_of_several():
    assert parse_hook_search("-STATUS:Failing,held") == (
        HookTerm(states=(HookState.FAILING, HookState.HELD), negated=True),
    )


@pytest.mark.parametrize(
    ("text", "column", "part"),
    [
        ("a took:>2s", 3, "hooks have no took:"),
        ("data.a:1", 1, "hooks have no data.a:"),
        ("-hook:1", 1, "hooks have no hook:"),
        ("a -status:failed", 11, "'failed' is not a status of a hook; known: active"),
        ("status:", 8, "a value is missing"),
        ("status:held,", 8, "a value is missing"),
    ],
)
def test_what_means_nothing_for_hooks_is_refused_at_its_column(text, column, part):
    """Red when such a term finds nothing in silence."""
    with pytest.raises(FilterError) as refused:
        parse_hook_search(text)
    assert refused.value.column == column
    assert part in refused.value.detail


@given(st.text())
def test_any_text_is_a_search_or_refused(text: str):
    with suppress(FilterError):
        assert len(parse_hook_search(text)) == len(text.split())
