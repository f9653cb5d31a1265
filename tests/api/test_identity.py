"""What the server remembers of callers."""

from __future__ import annotations

from hooktui.api.identity import RecentUses
from tests.support.clocks import Clock


# Red when each token that was ever used is remembered.
def test_only_the_tokens_of_the_last_minute_are_remembered():
    clock = Clock()
    uses = RecentUses(clock.steady_s)
    for token in range(1000):
        clock.advance(1)
        assert uses.note(token)
        assert not uses.note(token)
        assert len(uses) <= 60
    clock.advance(60)
    assert uses.note(999)
    assert len(uses) == 1
