"""Searches of the server that end when they are complete, however busy the machine is."""

from __future__ import annotations

import pytest

_LIMITS = (
    "hooktui.store.feed.SEARCH_S",
    "hooktui.store.queries.pages.SAMPLE_S",
    "hooktui.store.queries.pages.SEARCH_S",
    "hooktui.store.queries.replay_candidates.SEARCH_S",
    "hooktui.store.queries.replay_plans.COUNT_S",
    "hooktui.api.routes.operations.PURGE_WITHIN_S",
    "hooktui.api.routes.operations.ROTATE_WITHIN_S",
)
"""Each time after which one call ends with a part of its result."""


@pytest.fixture(autouse=True)
def patient_searches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each of them a minute instead of seconds; a test of such a limit sets its own."""
    for limit in _LIMITS:
        monkeypatch.setattr(limit, 60.0)
