"""Searches of the server that end when they are complete, however busy the machine is."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def patient_searches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a filtered page a minute instead of two seconds; a test of that limit sets its own."""
    for module in ("hooktui.store.feed", "hooktui.store.queries.pages"):
        monkeypatch.setattr(f"{module}.SEARCH_S", 60.0)
