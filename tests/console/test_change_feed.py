"""What the follower of the change feed puts into the log beside the changes."""

from __future__ import annotations

import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from hooktui.console.formatting import date_of
from hooktui.console.shell.change_feed import MAX_DELIVERIES, ChangeFeedFollower, FeedChanges
from hooktui.console.shell.log_buffer import LogLine
from hooktui.console.shell.server_connection import ConnectionState
from hooktui.domain.clock import now_ms, to_rfc3339
from hooktui.domain.wire.events import Catalogue
from tests.console.client import Client
from tests.console.command_scene import staged
from tests.console.gate import FEED, changed
from tests.support.receivers import Receiver

DAY_MS = 86_400_000
NOW_MS = 1_795_575_845_000


@pytest.fixture
def follower() -> ChangeFeedFollower:
    shell: Any = SimpleNamespace(clock=lambda: NOW_MS)
    notifier: Any = SimpleNamespace(forget=lambda: None)
    return ChangeFeedFollower(shell, lambda _: None, notifier)


def notes(follower: ChangeFeedFollower, *at_ms: int) -> list[str]:
    """Return the remarks in a log of attempts at times; an attempt is an empty one."""
    return [line.note for line in follower._with_days([LogLine(at_ms=one) for one in at_ms])]


# Red when lines of last week look like those of this night.
def test_lines_of_another_day_stand_below_its_date(follower: ChangeFeedFollower):
    week_ms = NOW_MS - 7 * DAY_MS
    assert notes(follower, week_ms, week_ms + 1, NOW_MS) == [
        date_of(week_ms), "", "", date_of(NOW_MS), "",
    ]  # fmt: skip
    assert notes(follower, NOW_MS) == [""]
    assert notes(follower, NOW_MS + DAY_MS) == [date_of(NOW_MS + DAY_MS), ""]
    follower.start_over()
    assert notes(follower, NOW_MS) == [""]


def test_a_date_is_that_of_the_admins_time_zone(monkeypatch):
    midnight_ms = 1_795_564_800_000  # 2026-11-25T00:00:00Z
    try:
        for zone, day in (("UTC", "Wed 25 Nov 2026"), ("UTC+5", "Tue 24 Nov 2026")):
            monkeypatch.setenv("TZ", zone)
            time.tzset()
            assert date_of(midnight_ms) == day
    finally:
        monkeypatch.undo()
        time.tzset()


# Red when it is read once: types that were added before a restart were refused in the form.
async def test_the_catalogue_is_read_again_after_a_lost_connection(open_console, client: Client):
    async with open_console() as console:
        app = console.app
        await console.shows("No hooks yet")
        app.catalogue = Catalogue(groups=())
        app._connection_changed(ConnectionState.LOST, None)
        app._connection_changed(ConnectionState.CONNECTED, None)
        await console.until(lambda: {group.id for group in app.catalogue.groups} >= {"job"})


# Red while the log "followed" without a word what had happened minutes ago.
async def test_a_log_that_is_behind_says_so(client: Client, receiver: Receiver):
    async with staged(client, receiver) as scene:
        await scene.console.shows("following")
        assert "behind" not in scene.console.text
        scene.gate.spoil(FEED, changed(searched_to=to_rfc3339(now_ms() - 130_000)))
        client.emit()
        await scene.console.shows("log 2m behind")
        scene.gate.mend()
        client.emit()
        await scene.console.hides("behind")


# Red when the advice starts a server with an empty SQLite database in place of PostgreSQL.
async def test_a_server_on_postgresql_is_started_again_with_its_database(open_console):
    async with open_console() as console:
        app = console.app
        await console.until(lambda: app.status.latest is not None)
        app._connection_changed(ConnectionState.LOST, None)
        await console.shows("`hooktui serve` starts the server again")
        database = replace(app.status.latest.database, kind="postgresql")
        app.status.latest = replace(app.status.latest, database=database)
        app._connection_changed(ConnectionState.LOST, None)
        await console.shows("`hooktui serve --database …` starts the server again")
        app.restricted = True  # such a user starts no server
        app._connection_changed(ConnectionState.LOST, None)
        await console.hides("starts the server again")
        assert "connection lost; showing the last known data" in console.text


def test_a_covered_screen_keeps_a_bounded_number_of_deliveries():
    # Red when each delivery is kept: some MB an hour.
    waiting = FeedChanges()
    for number in range(10 * MAX_DELIVERIES):
        waiting.merge(FeedChanges(deliveries={str(number)}))
        assert len(waiting.deliveries) <= MAX_DELIVERIES
    assert waiting.everything


def test_a_few_deliveries_are_known_one_by_one():
    waiting = FeedChanges()
    for number in range(MAX_DELIVERIES):
        waiting.merge(FeedChanges(deliveries={str(number)}))
    assert len(waiting.deliveries) == MAX_DELIVERIES
    assert not waiting.everything
