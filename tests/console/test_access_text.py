"""What the screens of engine, audit, tokens and accounts say, without a screen."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooktui.console.access.audit_text import checked_words, entry_lines, parse_filter
from hooktui.console.access.token_text import read_token
from hooktui.console.engine.text import (
    EngineHook,
    engine_columns,
    engine_hooks,
    engine_lines,
    forecast,
    report_lines,
)
from hooktui.console.glyphs import UNICODE
from hooktui.console.shell.status import Trend
from hooktui.console.widgets.chrome import Lines
from hooktui.console.widgets.styled import StyledLine
from hooktui.domain.clock import to_rfc3339
from hooktui.domain.errors import Refused
from hooktui.domain.roles import Role
from hooktui.domain.wire.access import AuditBreak, AuditCheck, AuditEntry, AuditHead
from hooktui.domain.wire.diagnosis import Check, report_of
from hooktui.domain.wire.server import (
    Backlog,
    Connections,
    DatabaseInfo,
    Disk,
    HookBacklog,
    OpenBreaker,
    Pause,
    Rates,
    ServerInfo,
    ServerStatus,
    ShortageInfo,
)
from tests.support.wire_objects import AT, AT_MS, KEY

GB = 1 << 30


def status(**fields: Any) -> ServerStatus:
    made = ServerStatus(
        version="1", database=DatabaseInfo(kind="sqlite", version="3", location="/db"),
        role="admin", user="ada",
        servers=(ServerInfo(number=0, name="one", pid=7, started_at=AT, version="1"),),
        backlog=Backlog(count=100, held=0, oldest_due_at=AT, hooks=()),
        rates=Rates(accepted_per_s=0, delivered_per_s=0, failed_per_s=0, in_flight=0),
        disk=Disk(free=10 * GB, total=20 * GB, reserve=GB),
    )  # fmt: skip
    return replace(made, **fields)


def falling(*values: float, every_s: float = 5) -> Trend:
    trend = Trend()
    for place, value in enumerate(values):
        trend.add(AT_MS + round(place * every_s * 1000), value)
    return trend


def text(lines: list[StyledLine]) -> str:
    return "\n".join("".join(part for part, _ in line) for line in lines)


def said_of(**fields: Any) -> str:
    return text(engine_lines(status(**fields), Trend(), Trend(), AT_MS, " · "))


# A backlog that shrinks by 2 a second and still holds 80 is empty in 40 s.
@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((100, 90, 80), "empty in about 40s"),
        ((100, 110, 120), "grows by 2.0 a second"),
        ((100, 100, 100), "stays as it is"),
        ((100,), "the forecast needs some seconds"),
        ((90_000, 89_990, 89_980), "empty in about 12h"),
    ],
)
def test_the_forecast_follows_the_line_through_the_samples(values, said):
    assert forecast(status(), falling(*values)) == said


def test_no_forecast_is_made_where_nothing_can_shrink():
    trend = falling(100, 90, 80)
    later = Backlog(count=3, held=0, oldest_due_at=None, hooks=())
    none = Backlog(count=0, held=0, oldest_due_at=None, hooks=())
    assert "the next attempts are scheduled" in forecast(status(backlog=later), trend)
    assert forecast(status(backlog=none), trend) == "nothing to send"
    assert "resume" in forecast(status(paused=Pause(at=AT, by="ada")), trend)


samples = st.lists(
    st.tuples(st.integers(0, 10**13), st.floats(0, 1e12, allow_nan=False)), max_size=30
)


# Red when a clock that stands still, or goes back, divides by nothing.
@given(samples, st.floats(0, 1e12))
def test_a_trend_never_fails_nor_foresees_the_past(some, target):
    trend = Trend()
    for at_ms, value in some:
        trend.add(at_ms, value)
    left_s = trend.falls_to_s(target)
    assert left_s is None or left_s >= 0
    assert trend.per_s is None or trend.per_s == trend.per_s


def test_old_samples_do_not_count():
    trend = falling(0, 0, 0)
    for place in range(100):
        trend.add(AT_MS + 10_000 + place * 10_000, 1000 - place)
    assert trend.per_s == pytest.approx(-0.1)
    assert trend.span_ms <= 5 * 60_000


def test_the_engine_tells_who_paused_it_and_when():
    told = said_of(paused=Pause(at=AT, by="ada"))
    assert "! paused by ada since " in told
    assert "only pings are sent" in told
    assert "sending" not in told


def test_the_engine_tells_what_it_lies_on():
    told = said_of(
        backlog=Backlog(count=1200, held=7, oldest_due_at=to_rfc3339(AT_MS - 240_000), hooks=())
    )
    assert "1,200 · the oldest due 4m ago" in told
    assert "7 held by disabled hooks" in told
    assert "one · 1 · process 7 · since" in told
    assert "10.7 GB of 21.5 GB free · below 1.1 GB no events are accepted" in told
    assert "reached in" not in told


def test_a_disk_that_fills_up_is_foreseen_after_two_minutes():
    fast = falling(*(10 * GB - n * GB / 100 for n in range(30)), every_s=5)
    assert "reached in about" in text(engine_lines(status(), Trend(), fast, AT_MS, " · "))
    short = falling(*(10 * GB - n * GB / 100 for n in range(10)), every_s=5)
    assert "reached in about" not in text(engine_lines(status(), Trend(), short, AT_MS, " · "))


def test_hooks_that_wait_and_hooks_that_are_left_alone_are_one_list():
    waiting = (HookBacklog(hook=1, count=9, name="a"), HookBacklog(hook=2, count=3, name="b"))
    open_ones = tuple(OpenBreaker(hook=n, name="x", probe_at=AT, failures=10 + n) for n in (2, 3))
    found = engine_hooks(
        status(
            backlog=Backlog(count=12, held=0, oldest_due_at=None, hooks=waiting),
            breakers=open_ones,
        )
    )
    assert [(one.hook, one.waiting, one.breaker) for one in found] == [
        (1, 9, None), (2, 3, open_ones[0]), (3, 0, open_ones[1]),
    ]  # fmt: skip


# Red when figures that were read before the server was lost are shown as what goes on now.
def test_old_figures_claim_and_forecast_nothing():
    fast, full = falling(100, 90, 80), falling(*(10 * GB - n * GB / 100 for n in range(30)))
    now = text(engine_lines(status(), fast, full, AT_MS, " · "))
    old = text(engine_lines(status(), fast, full, AT_MS, " · ", old=True))
    for claim in ("sending", "just now", "empty in about", "reached in about"):
        assert claim in now
        assert claim not in old
    assert "unknown until the server responds" in old
    assert "waiting   100" in old
    assert "10.7 GB of 21.5 GB free" in old


# Red when a probe is announced although nothing is sent, or whether it is sent is not known.
@pytest.mark.parametrize(
    ("sends", "said"),
    [
        (True, f"{UNICODE.failing} open, probe now after 12 failures in a row"),
        (False, f"{UNICODE.failing} open after 12 failures in a row"),
    ],
)
def test_a_probe_is_announced_only_while_the_engine_sends(sends, said):
    breaker = OpenBreaker(hook=2, name="b", probe_at=AT, failures=12)
    row = EngineHook(hook=2, name="b", breaker=breaker)
    (column,) = (
        column
        for column in engine_columns(UNICODE, lambda: AT_MS, lambda: sends)
        if column.name == "breaker"
    )
    assert column.text(row) == said


def test_what_is_to_fix_comes_first():
    checks = [Check("a", "ok", "1"), Check("b", "warn", "2"), Check("c", "fail", "3", "mend it")]
    told = text(report_lines(report_of(checks), KEY)).split("\n")
    assert [line.split()[0] for line in told] == ["fail", "mend", "warn", "ok"]


# Red when an advice is cut at the edge of the terminal, with the command that helps.
@pytest.mark.parametrize("width", [60, 80, 120])
def test_all_of_an_advice_and_of_a_changed_value_can_be_read(width: int):
    advice = "free some space: " + "old events can be deleted " * 8 + "with hooktui purge"
    doctor = Lines(hang=21, most=20)
    doctor.lines = tuple(report_lines(report_of([Check("disk", "fail", "1 MB free", advice)]), KEY))
    rows = [text([row]) for row in doctor._rows(width)]
    assert all(len(row) <= width for row in rows)
    assert " ".join(" ".join(rows).split()).endswith(advice)
    entry = Lines(hang=11, most=1_000)
    value = "https://hooks.example.org/" + "x" * 500
    entry.lines = tuple(entry_lines(replace(ENTRY, before={"url": value}), AT_MS))
    rows = [text([row]) for row in entry._rows(width)]
    assert value in "".join(row.strip() for row in rows)


ENTRY = AuditEntry(
    id=7, at=AT, account=None, user="ada", role="admin", origin="unix pid=1", action="hook.change",
    target="hook 12", before={"active": True}, after={"active": False}, result="done", hash="ab12",
)  # fmt: skip


def test_an_entry_shows_what_was_and_what_became_of_it():
    lines = entry_lines(ENTRY, AT_MS)
    told = text(lines)
    assert "   active\n   - yes\n   + no" in told
    assert "ab12" in told
    assert "unix pid=1" in told
    assert (("   - ", "bad"), ("yes", "bad")) in lines
    bare = text(entry_lines(replace(ENTRY, before=None, after=None), AT_MS))
    assert "no further details" in bare


def test_the_filter_of_the_trail():
    assert parse_filter("") == {}
    assert parse_filter("hook") == {"action": "hook*"}
    assert parse_filter('user:ada target:"hook 12" since:7d result:') == {
        "user": "ada", "target": "hook 12", "since": "7d",
    }  # fmt: skip
    with pytest.raises(Refused, match="column 10: unknown key 'who'"):
        parse_filter("user:ada who:x")
    with pytest.raises(Refused, match="column 10: unknown key 'er'"):
        parse_filter("user:ada er:x")
    with pytest.raises(Refused, match="column 8: a quote is not closed"):
        parse_filter('target:"hook')


def test_what_a_look_through_the_trail_found():
    head = AuditHead(9, AT, "ff")
    assert "9:ff" in checked_words(AuditCheck(9, head, None, None), 9)[0]
    words, tone = checked_words(AuditCheck(3, head, AuditBreak(4, "it was changed"), None), 3)
    assert (words, tone) == ("the trail is broken at entry 4: it was changed", "bad")
    assert checked_words(AuditCheck(0, None, None, None), 0) == ("the trail is empty", "plain")


def test_a_new_token_is_read_from_its_form():
    fields, wrong = read_token(" ci ", Role.PRODUCER, 2, "30d", AT_MS)
    assert wrong == {}
    assert fields == {
        "name": "ci", "role": "producer", "account": 2,
        "expires_at": to_rfc3339(AT_MS + 30 * 86_400_000),
    }  # fmt: skip
    fields, wrong = read_token("ci", Role.ADMIN, None, "", AT_MS)
    assert (fields, wrong) == ({"name": "ci", "role": "admin"}, {})


@pytest.mark.parametrize("expires", ["soon", "99999999999d", "2020-01-01T00:00:00Z", "0s", "90"])
def test_what_is_wrong_with_a_new_token_is_said_at_its_field(expires):
    _, wrong = read_token("", Role.ADMIN, None, expires, AT_MS)
    assert set(wrong) == {"name", "expires"}


def connections(**fields: Any) -> Connections:
    made = Connections(most=97, in_use=97, idle=3, waiting=False, files_limit=256)
    return replace(made, **fields)


# Red when the screen shows no want of connections or files, or shows it when there is none.
def test_what_is_short_is_shown_while_it_matters():
    last = ShortageInfo(
        condition="open_files", message="this machine has no file left", advice="raise it",
        at=AT, counts={"open_files": 3, "ports": 2},
    )  # fmt: skip
    assert "outbound" not in said_of(connections=connections())
    assert "97 of 97 outbound connections in use · hooks take turns" in said_of(
        connections=connections(waiting=True)
    )
    said = said_of(connections=connections(shortage=last))
    assert "this machine has no file left, just now · 5 deliveries returned unsent" in said
    assert "raise it" in said
    old = text(
        engine_lines(
            status(connections=connections(shortage=last)), Trend(), Trend(), AT_MS + 3_600_000, "-"
        )
    )
    assert "this machine" not in old
