"""What was claimed and not sent goes back to the store, at the last try as well."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from hooktui.delivery import recorder
from hooktui.delivery.recorder import Unsent
from hooktui.domain.errors import Unavailable
from tests.delivery.driven_queues import delivery_of

WAITS_S = (0.0, 0.001, 0.001, 0.001)


def failing_store(times: int, error: Exception) -> Any:
    """Return a store that fails to take deliveries so many times."""

    async def release(claims: object) -> None:
        store.tries += 1
        if store.tries <= times:
            raise error

    store = SimpleNamespace(release=release, tries=0)
    return store


# Red when the last wait is followed by no try: the deliveries waited for their leases.
@pytest.mark.parametrize("failures", range(len(WAITS_S) + 1))
async def test_each_wait_is_followed_by_a_try(monkeypatch, caplog, failures: int):
    monkeypatch.setattr(recorder, "_RETRY_S", WAITS_S)
    store = failing_store(failures, OSError("the disk is full"))
    await Unsent(store, lambda _: None).release([delivery_of(1)])
    assert store.tries == failures + 1
    assert "due again at the end of the lease" not in caplog.text


async def test_there_is_an_end_to_it(monkeypatch, caplog):
    monkeypatch.setattr(recorder, "_RETRY_S", WAITS_S)
    store = failing_store(1000, OSError("the disk is full"))
    await Unsent(store, lambda _: None).release([delivery_of(1)])
    assert store.tries == len(WAITS_S) + 1
    assert "due again at the end of the lease" in caplog.text


async def test_an_unknown_outcome_is_not_repeated(monkeypatch):
    error = Unavailable("the connection was lost")
    error.outcome_unknown = True
    store = failing_store(1000, error)
    await Unsent(store, lambda _: None).release([delivery_of(1)])
    assert store.tries == 1
