"""Pages of large rows end at 1 MiB, and following them still shows every row once."""

from __future__ import annotations

import pytest

from hooktui.domain.wire.hooks import Hook
from hooktui.store import queries
from hooktui.store.queries.pages import MAX_PAGE_BYTES, PageRequest
from tests.support.stores import DEFAULT, Opened, make_hook

HOOKS = 60
HEADERS = {f"X-Large-{number}": "a" * 4000 for number in range(20)}


def _size(hook: Hook) -> int:
    return sum(len(value) for value in hook.headers.values())


# Red when a page ends by its number of rows alone: these are 4.8 MB, and 500 are 40 MB.
@pytest.mark.parametrize("from_end", [False, True], ids=["forward", "backward"])
async def test_a_page_of_large_hooks_ends_at_its_bound(opened: Opened, from_end: bool) -> None:
    store = opened.store
    for number in range(HOOKS):
        await make_hook(store, name=f"n{number % 7}", headers=HEADERS)
    for sort in ("id", "name"):
        seen: list[int] = []
        cursor, first = None, True
        while first or cursor is not None:
            request = PageRequest(limit=500, sort=sort, cursor=cursor, from_end=from_end and first)
            page = await store.read(queries.list_hooks, DEFAULT, request)
            assert 0 < sum(map(_size, page.data)) <= MAX_PAGE_BYTES
            assert page.total == HOOKS
            seen += [hook.id for hook in page.data]
            cursor, first = page.prev if from_end else page.next, False
        assert len(seen) == HOOKS
        assert len(set(seen)) == HOOKS
