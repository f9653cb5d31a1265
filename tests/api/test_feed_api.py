"""The change feed by the API: it wakes, it filters, it ends."""

from __future__ import annotations

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from hooktui import sockets
from hooktui.api.routes.feed import _page_steps
from hooktui.domain.ids import AccountId
from hooktui.domain.json_text import finish
from hooktui.domain.wire.deliveries import Attempt, Phases, Response
from hooktui.store.contract import FeedItem, FeedItemPage
from hooktui.store.feed import MAX_PAGE_BYTES
from hooktui.store.sqlite.store import SqliteStore
from tests.support.running_server import running_server
from tests.support.waiting import wait_for


def _feed(api, account, **params):
    answer = api.get("/v1/feed", params={"account": account} | params)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture
def hook(api, account, receiver):
    fields = {"url": receiver.url, "events": ["job"], "retry_schedule_s": []}
    return api.post("/v1/hooks", params={"account": account}, json=fields).json()


def _emit(api, account, event_type="job.failed"):
    params = {"account": account}
    return api.post(f"/v1/events/{event_type}", params=params, content=b'{"n":1}').json()["id"]


def _until(api, account, kind, **params):
    """Follow the feed from its beginning until a line of a kind comes; return all lines."""
    lines, page = [], {}

    def arrived():
        nonlocal page
        more = {"after": page["next"]} if page else {}
        page = _feed(api, account, wait=5, **more, **params)
        lines.extend(page["data"])
        return any(line["kind"] == kind for line in lines)

    wait_for(arrived, what=kind)
    return lines, page["next"]


def test_a_delivery_runs_through_the_feed_in_order(api, account, hook):
    event = _emit(api, account)
    lines, _ = _until(api, account, "attempt")
    kinds = [line["kind"] for line in lines]
    assert kinds[0] == "hook"
    assert kinds.index("event") < kinds.index("attempt")
    attempt = next(line for line in lines if line["kind"] == "attempt")
    assert {name: attempt[name] for name in ("hook", "account", "event", "event_type")} == {
        "hook": hook["id"],
        "account": account,
        "event": event,
        "event_type": "job.failed",
    }
    assert (attempt["trigger"], attempt["status"]) == ("event", "delivered")
    assert (attempt["outcome"], attempt["status_code"]) == ("delivered", 200)
    assert attempt["at"].endswith("Z")


def test_only_the_account_that_was_asked_for_is_seen(api, account, hook):
    _emit(api, account)
    lines, _ = _until(api, account, "attempt")
    assert {line["account"] for line in lines} == {account}


def test_a_long_poll_wakes_when_something_changes(api, account, hook, server):
    end = _feed(api, account, from_end=True)["next"]
    with ThreadPoolExecutor(1) as pool, server.client() as other:
        waiting = pool.submit(_feed, other, account, after=end, wait=30)
        _emit(api, account)
        lines = waiting.result(20)["data"]
    assert "event" in [line["kind"] for line in lines]


def test_a_long_poll_without_news_ends_when_its_time_is_up(api, account, server):
    end = _feed(api, account, from_end=True)["next"]
    with ThreadPoolExecutor(1) as pool, server.client() as other:
        longer = pool.submit(_feed, other, account, after=end, wait=30)
        begun = time.monotonic()
        page = _feed(api, account, after=end, wait=0.3)
        assert time.monotonic() - begun > 0.25
        assert page["data"] == []
        assert _feed(api, account, after=page["next"])["data"] == []
        assert not longer.done()
        _emit(api, account)
        assert longer.result()["data"]


def test_without_wait_the_answer_is_there_at_once(api, account):
    end = _feed(api, account, from_end=True)["next"]
    assert _feed(api, account, after=end) == {"data": [], "next": end}


def test_a_filter_lets_through_what_fits_and_moves_on(api, account, hook, receiver):
    _emit(api, account)
    _, after = _until(api, account, "attempt")
    lines = _feed(api, account, q="status:delivered event:job.failed")["data"]
    assert {line["kind"] for line in lines} <= {"attempt", "delivery"}
    assert lines
    nothing = _feed(api, account, q="status:failed")
    assert nothing["data"] == []
    assert _feed(api, account, after=nothing["next"])["data"] == []
    assert after


def test_a_filtered_long_poll_sleeps_over_what_does_not_fit(api, account, hook, receiver, server):
    end = _feed(api, account, from_end=True)["next"]
    with ThreadPoolExecutor(1) as pool, server.client() as other:
        waiting = pool.submit(_feed, other, account, after=end, wait=30, q="status:failed")
        _emit(api, account)
        _until(api, account, "attempt")
        assert not waiting.done()
        receiver.status = 500
        _emit(api, account)
        lines = waiting.result(10)["data"]
    assert {line["status"] for line in lines} == {"failed"}


def test_the_newest_lines_come_from_the_end_oldest_first(api, account, hook):
    for kind in ("cluster.error", "cluster.idled", "cluster.available"):
        _emit(api, account, kind)
    page = _feed(api, account, from_end=True, limit=2)
    assert [line["type"] for line in page["data"]] == ["cluster.idled", "cluster.available"]
    assert _feed(api, account, after=page["next"])["data"] == []
    filtered = _feed(api, account, from_end=True, limit=1, q="event:cluster.error")
    assert [line["type"] for line in filtered["data"]] == ["cluster.error"]


def test_pages_go_on_where_the_last_one_ended(api, account):
    for _ in range(5):
        _emit(api, account, "cluster.error")
    seen, after = [], None
    for _ in range(5):
        page = _feed(api, account, limit=1, **({"after": after} if after else {}))
        seen += [line["id"] for line in page["data"]]
        after = page["next"]
    assert len(set(seen)) == 5


def test_words_and_data_are_looked_for_in_the_events_bodies(api, account, hook):
    params = {"account": account}
    for number in range(3):
        body = b'{"n":%d,"note":"number %d here"}' % (number, number)
        event = api.post("/v1/events/job.failed", params=params, content=body).json()["id"]
        if number == 1:
            wanted = event
        _until(api, account, "attempt", q=f"data.n:{number}")
    for q in ("data.n:1", '"number 1"', "status:delivered data.note:*1*"):
        for given in ({}, {"from_end": True}):
            lines = _feed(api, account, q=q, **given)["data"]
            assert {line.get("event") or line["id"] for line in lines} == {wanted}
    assert len(_feed(api, account, q="data.n:1", from_end=True, limit=1)["data"]) == 1


# Red when the size of a page is that of what is stored: each control character takes six bytes.
def test_a_page_ends_at_1_mib_as_it_is_written():
    items = tuple(_attempt(number) for number in range(60))
    written = finish(_page_steps(FeedItemPage(items, "end")))
    assert len(written) < MAX_PAGE_BYTES + 1000
    page = json.loads(written)
    assert page["next"] == f"1.{len(page['data'])}"
    assert json.loads(finish(_page_steps(FeedItemPage(items[:2], "end"))))["next"] == "end"


# Red when the newest changes are cut off, which are the ones that were asked for.
def test_a_page_from_the_end_holds_the_newest_as_it_is_written():
    items = tuple(_attempt(number) for number in range(60))
    page = json.loads(finish(_page_steps(FeedItemPage(items, "end"), from_end=True)))
    assert page["next"] == "end"
    assert page["before"] == f"1.{60 - len(page['data'])}"
    assert page["searched_to"] == "1970-01-01T00:00:00.000Z"
    assert page["data"][-1]["number"] == 59
    whole = json.loads(finish(_page_steps(FeedItemPage(items[:2], "end"), from_end=True)))
    assert set(whole) == {"data", "next"}


# Red when a search that took too long ends like one that reached the end.
# Red when a poll reads again at once: it did so until somebody wrote the next row.
def test_a_poll_that_is_woken_for_rows_that_are_lost_rests(api, account, monkeypatch):
    read, reads = SqliteStore.feed, 0

    async def counted(self: SqliteStore, *given: object) -> FeedItemPage:
        nonlocal reads
        reads += 1
        return await read(self, *given)

    async def woken(*_: object) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr(SqliteStore, "feed", counted)
    monkeypatch.setattr(SqliteStore, "wait_for_change", woken)
    end = api.get("/v1/feed", params={"account": account}).json()["next"]
    reads = 0
    page = api.get("/v1/feed", params={"account": account, "after": end, "wait": 2}).json()
    assert (page["data"], page["next"]) == ([], end)
    assert 2 <= reads <= 5


def test_a_search_that_took_too_long_says_where_to_continue(api, account, monkeypatch):
    for _ in range(3):
        _emit(api, account, "cluster.error")
    monkeypatch.setattr("hooktui.store.feed.SEARCH_S", -1)
    for wanted, position in ((("from_end", True), "before"), (("limit", 500), "next")):
        page = _feed(api, account, q="event:cluster.idled", **dict([wanted]))
        assert page["data"] == []
        pages = 1
        while "searched_to" in page:
            given = "before" if position == "before" else "after"
            page = _feed(api, account, q="event:cluster.idled", **{given: page[position]})
            pages += 1
        assert pages >= 3


def _attempt(number):
    attempt = Attempt(
        delivery="dlv_1", number=number, started_at="", outcome="failed", status_code=500,
        error=None, error_detail=None, phases_ms=Phases(), reused_connection=False, address=None,
        response=Response(body="\x01" * 16_384), retry_after_s=None, server=None,
    )  # fmt: skip
    return FeedItem("attempt", 0, AccountId(1), attempt, None, f"1.{number + 1}")


@pytest.mark.parametrize(
    ("params", "pointer"),
    [
        ({"after": "rubbish"}, "/after"),
        ({"before": "rubbish"}, "/before"),
        ({"before": "1.0", "after": "1.0"}, "/before"),
        ({"limit": 0}, "/limit"),
        ({"limit": 501}, "/limit"),
        ({"wait": "x"}, "/wait"),
        ({"wait": "-1"}, "/wait"),
        ({"wait": "nan"}, "/wait"),
        ({"wait": "30.5"}, "/wait"),
        ({"q": "x:y"}, "/q"),
    ],
)
def test_a_bad_parameter_is_refused(api, params, pointer):
    answer = api.get("/v1/feed", params=params)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer


def test_a_stop_ends_long_polls_at_once(tmp_path):
    with running_server(tmp_path) as server, server.client() as api:
        end = _feed(api, 1, from_end=True)["next"]
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(_feed, api, 1, after=end, wait=30)
            wait_for(lambda: _polls(server) > 0)
            server.stop()  # within less than the wait
            assert waiting.result(20)["data"] == []


def test_a_client_that_leaves_ends_its_long_poll(tmp_path):
    with running_server(tmp_path) as server:
        with server.client() as api:
            end = _feed(api, 1, from_end=True)["next"]
        wait_for(lambda: _polls(server) == 0)
        client = sockets.connect(server.paths.socket, 5)
        client.sendall(f"GET /v1/feed?wait=30&after={end} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        wait_for(lambda: _polls(server) > 0)
        client.close()
        wait_for(lambda: _polls(server) == 0)


def _polls(server):
    """Count the long polls that wait."""
    tasks = asyncio.all_tasks(server.loop)
    return sum("wait_for_change" in repr(task.get_coro()) for task in tasks)
