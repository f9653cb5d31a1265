"""What one caller may have the server look through, and wait for, at a time."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Coroutine
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from starlette.requests import ClientDisconnect

from hooktui.api import limits
from hooktui.api.access import Caller
from hooktui.api.limits import MAX_POLLS, MAX_SEARCHES, MAX_WAITING, Searches
from hooktui.api.peer_credentials import PeerCredentials
from hooktui.api.routes import events
from hooktui.domain.errors import Conflict, TooManyRequests
from hooktui.domain.ids import AccountId
from hooktui.domain.roles import Role


def _caller(
    user: str, peer: PeerCredentials | None = None, account: AccountId | None = None
) -> Caller:
    return Caller(user, Role.VIEWER, account, peer)


class Looking:
    """Searches that end when they are told to."""

    def __init__(self) -> None:
        self.searches = Searches()
        self.now: list[str] = []
        self.end = asyncio.Event()

    async def search(self, user: str, account: AccountId | None = None) -> None:
        async with self.searches.search(_caller(user, account=account)):
            self.now.append(user)
            await self.end.wait()
            self.now.remove(user)


async def _settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


# Red without the turn of a caller: both places go to the first, and the second waits.
async def test_a_caller_has_one_search_at_a_time_and_a_server_two() -> None:
    looking = Looking()
    tasks = [asyncio.create_task(looking.search(user)) for user in "aaabcd"]
    await _settled()
    assert sorted(looking.now) == ["a", "b"]
    assert len(looking.now) == MAX_SEARCHES
    looking.end.set()
    await asyncio.gather(*tasks)


# Red when each token has a turn of its own: an account with many of them precedes all others.
async def test_the_tokens_of_an_account_have_one_turn() -> None:
    looking = Looking()
    tasks = [asyncio.create_task(looking.search(user, AccountId(2))) for user in "abc"]
    await _settled()
    assert looking.now == ["a"]
    tasks.append(asyncio.create_task(looking.search("d", AccountId(3))))
    await _settled()
    assert looking.now == ["a", "d"]
    looking.end.set()
    await asyncio.gather(*tasks)
    assert not looking.searches._callers


# Red when the plans of an account take both slots: each of its tokens may have one.
async def test_the_tokens_of_an_account_plan_in_turns() -> None:
    searches, begun, end = Searches(), list[str](), asyncio.Event()

    async def plan(user: str) -> None:
        begun.append(user)
        await end.wait()

    tasks = [
        asyncio.create_task(searches.plan(_caller(user, account=AccountId(account)), plan(user)))
        for user, account in (("a", 2), ("b", 2), ("c", 3))
    ]
    await _settled()
    assert begun == ["a", "c"]
    end.set()
    await asyncio.gather(*tasks)
    assert sorted(begun) == ["a", "b", "c"]
    assert not searches._callers


async def test_very_many_searches_that_wait_are_refused() -> None:
    looking = Looking()
    tasks = [asyncio.create_task(looking.search("a")) for _ in range(MAX_WAITING + 2)]
    await _settled()
    refused = [task for task in tasks if task.done()]
    assert len(refused) == 1
    with pytest.raises(TooManyRequests, match="20 searches of a are waiting"):
        await refused[0]
    looking.end.set()
    await asyncio.gather(*(task for task in tasks if task not in refused))
    await looking.search("a")
    del tasks, refused  # their errors hold the calls
    assert not looking.searches._callers, "who asks nothing is kept nowhere"


# Red when it runs: who types a filter leaves a search behind at each pause, and waits for all.
async def test_a_caller_that_left_while_it_waited_searches_nothing() -> None:
    looking, searched = Looking(), []

    async def gone() -> bool:
        return True

    async def search() -> None:
        async with looking.searches.search(_caller("a"), gone=gone):
            searched.append("a")

    first = asyncio.create_task(looking.search("a"))
    await _settled()
    left = asyncio.create_task(search())
    await _settled()
    looking.end.set()
    with pytest.raises(ClientDisconnect):
        await left
    await first
    assert searched == []
    await search()  # without a wait nothing is asked
    assert searched == ["a"]


def test_long_polls_of_a_caller_are_bounded() -> None:
    counted = Searches()
    with ExitStack() as open_ones:
        for _ in range(MAX_POLLS):
            open_ones.enter_context(counted.poll(_caller("a")))
        with (
            pytest.raises(TooManyRequests, match="a has 10 long polls"),
            counted.poll(_caller("a")),
        ):
            pass
        with counted.poll(_caller("b")):
            pass
    with counted.poll(_caller("a")):
        pass


# Red when the owner has no limit: each change wakes 5,000 polls of a faulty program, for seconds.
def test_the_owner_of_the_server_may_have_more() -> None:
    counted = Searches()
    owner = _caller("o", PeerCredentials(1, os.geteuid(), os.getegid()))
    with ExitStack() as open_ones:
        for _ in range(10 * MAX_POLLS):
            open_ones.enter_context(counted.poll(owner))
        with pytest.raises(TooManyRequests, match="o has 100 long polls"), counted.poll(owner):
            pass


# Red when a call that searches holds no place: its caller computes as much as it likes.
@pytest.mark.parametrize(
    ("path", "given"),
    [
        ("/v1/hooks", {"q": "a"}),
        ("/v1/events", {"q": "a"}),
        ("/v1/deliveries", {"q": "a"}),
        ("/v1/feed", {"q": "a"}),
        ("/v1/feed", {"q": "a", "from_end": True}),
        ("/v1/feed", {"q": "a", "wait": 1}),
        ("/v1/events/{event}/decisions", {}),
        ("/v1/events/{event}", {}),
        ("/v1/hooks/dry-run", None),
    ],
)
def test_each_call_that_searches_waits_for_its_turn(
    api: httpx.Client, account: int, monkeypatch: pytest.MonkeyPatch, path: str,
    given: dict[str, object] | None,
) -> None:  # fmt: skip
    params = {"account": account, **(given or {})}
    body = {"id": "evt_1", "type": "job.failed", "data": {}}
    fields = {"url": "http://127.0.0.1:9/", "events": ["job"]}
    assert api.post("/v1/hooks", params={"account": account}, json=fields).status_code == 201
    event = api.post("/v1/events/job.failed", params={"account": account}, json=body).json()["id"]
    monkeypatch.setattr(events, "_FEW", 0)
    path = path.replace("{event}", event)

    def ask() -> httpx.Response:
        if given is None:
            return api.post(path, params=params, json={"events": ["job"]})
        return api.get(path, params=params)

    assert ask().status_code == 200
    monkeypatch.setattr(limits, "MAX_WAITING", -1)
    answer = ask()
    assert (answer.status_code, "narrow them" in answer.text) == (429, True)


def test_a_list_that_is_not_searched_waits_for_no_turn(
    api: httpx.Client, account: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_WAITING", -1)
    for path in ("/v1/hooks", "/v1/events", "/v1/deliveries", "/v1/feed"):
        assert api.get(path, params={"account": account}).status_code == 200


# Red when the feed does not count those that wait.
def test_a_feed_that_is_waited_for_is_a_long_poll(
    tcp: httpx.Client, account: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_POLLS", 0)
    assert tcp.get("/v1/feed", params={"account": account}).status_code == 200
    answer = tcp.get("/v1/feed", params={"account": account, "wait": 1})
    assert (answer.status_code, "long polls" in answer.text) == (429, True)


class Planning:
    """Plans of replays that end when they are told to."""

    def __init__(self) -> None:
        self.searches = Searches()
        self.asked: list[Coroutine[Any, Any, str]] = []
        self.now: list[str] = []
        self.end = asyncio.Event()

    def ask(self, user: str) -> asyncio.Task[str]:
        plan = self._plan(user)
        self.asked.append(plan)
        return asyncio.create_task(self.searches.plan(_caller(user), plan))

    async def _plan(self, user: str) -> str:
        self.now.append(user)
        try:
            await self.end.wait()
        finally:
            self.now.remove(user)
        return user


# Red without the places: all three run.
async def test_a_server_counts_two_plans_at_a_time() -> None:
    planning = Planning()
    tasks = [planning.ask(user) for user in "abc"]
    await _settled()
    assert planning.now == ["a", "b"]
    assert len(planning.now) == MAX_SEARCHES
    planning.end.set()
    assert await asyncio.gather(*tasks) == ["a", "b", "c"]


# Red when each kind has two places: on SQLite they take all threads for reads.
async def test_searches_and_plans_share_the_places_of_a_server() -> None:
    planning = Planning()
    async with planning.searches.search(_caller("a")), planning.searches.search(_caller("b")):
        task = planning.ask("c")
        await _settled()
        assert planning.now == []
    planning.end.set()
    assert await task == "c"


async def test_a_newer_plan_of_a_caller_replaces_the_older_one() -> None:
    planning = Planning()
    older, other = planning.ask("a"), planning.ask("b")
    await _settled()
    waiting = planning.ask("c")
    newer = planning.ask("a")
    await _settled()
    with pytest.raises(Conflict, match="a newer plan of the same caller"):
        await older
    assert sorted(planning.now) == ["b", "c"], "the next in turn has its place"
    newest = planning.ask("a")
    await _settled()
    with pytest.raises(Conflict):
        await newer  # it had no place yet
    planning.end.set()
    assert await asyncio.gather(other, waiting, newest) == ["b", "c", "a"]


# Red when nothing closes a plan whose task was cancelled before it ran.
async def test_a_plan_that_is_replaced_at_once_is_closed() -> None:
    planning = Planning()
    older, newer = planning.ask("a"), planning.ask("a")
    planning.end.set()
    assert await newer == "a"
    with pytest.raises(Conflict):
        await older
    assert [inspect.getcoroutinestate(plan) for plan in planning.asked] == ["CORO_CLOSED"] * 2


async def test_a_caller_that_is_gone_has_no_plan() -> None:
    planning = Planning()
    task = planning.ask("a")
    await _settled()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await _settled()
    assert planning.now == []
