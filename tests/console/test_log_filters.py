"""The filters of the log see the cause and the replay of the delivery of an attempt."""

from __future__ import annotations

import pytest

from hooktui.api.routes.feed import subject_of as item_subject
from hooktui.console.log.columns import subject_of
from hooktui.console.shell.change_feed import log_lines
from hooktui.domain.filters.parser import parse
from hooktui.domain.ids import AccountId
from hooktui.domain.wire.alerts import Alert
from hooktui.domain.wire.feed import FeedLine
from hooktui.store.contract import FeedItem
from tests.support.scripted_server import ATTEMPT

AT = "2026-11-25T00:00:00.000Z"
LINE = {
    **ATTEMPT, "kind": "attempt", "at": AT, "hook": 3, "account": 1, "event": "evt_01JDG3R8Z4000",
    "event_type": "job.failed", "trigger": "replay", "status": "pending", "held": False,
    "cause": "http_5xx", "replay": "rpl_01JDG3R8Z4000",
}  # fmt: skip


@pytest.mark.parametrize(
    ("q", "fits", "fits_old"),
    [
        ("status:undelivered", True, False),
        ("status:retrying", True, False),
        ("status:waiting", True, True),
        ("status:held", False, False),
        ("cause:http_*", True, False),
        ("replay:rpl_01JDG3R8Z4000", True, False),
        ("-cause:dns", True, True),
        ("evt_01JDG3R8Z4000", True, True),
        ("dlv_01JDG3R8Z4000", True, True),
        ("-id:dlv_01JDG3R8Z4000", False, False),
    ],
)
def test_a_line_fits_as_its_delivery_does(q: str, fits: bool, fits_old: bool) -> None:
    # An old server sends neither of the fields.
    old = {name: value for name, value in LINE.items() if name not in ("held", "cause", "replay")}
    for fields, expected in ((LINE, fits), (old, fits_old)):
        (line,) = log_lines([FeedLine("attempt", AT, fields)])
        assert parse(q).matches(subject_of(line, {}), line.at_ms) is expected


ALERT = {
    "kind": "alert", "at": AT, "account": 1, "change": "opened", "id": "alr_01JDG3R8Z4000",
    "type": "delivery.gave_up", "key": "delivery.gave_up:3:http_5xx", "state": "open", "hook": 3,
    "cause": "http_5xx", "summary": "hook 3 (billing): 1 delivery gave up with http_5xx",
}  # fmt: skip
OF_A_REPLAY = {
    **ALERT, "type": "replay.finished", "key": "replay.finished:rpl_01JDG3R8Z4000", "hook": None,
    "cause": None, "summary": "replay rpl_01JDG3R8Z4000 finished: 900 sent, 0 failed",
}  # fmt: skip


# Red when a filter of the log lets alerts through that have no such field, or differs from that of
# the server, which `hooktui log` uses.
@pytest.mark.parametrize(
    ("q", "fits", "fits_of_replay"),
    [
        ("", True, True),
        ("hook:3", True, False),
        ("hook:4", False, False),
        ("-hook:4", True, True),
        ("hook:0", False, False),
        ("hook:3 code:5xx", False, False),
        ("-code:5xx", True, True),
        ("event:*", False, False),
        ("event:delivery.*", False, False),
        ("-event:job.*", True, True),
        ("status:failed", False, False),
        ("status:held,waiting,retrying,undelivered", False, False),
        ("error:status", False, False),
        ("cause:http_5xx", False, False),
        ("trigger:replay", False, False),
        ("took:<1h", False, False),
        ("since:2026-11-25T00:00:00Z", True, True),
        ("until:2026-11-24T00:00:00Z", False, False),
        ("gave_up", True, False),
        ("finished", False, True),
        ("0", True, True),
        ("nothing", False, False),
        ("evt_01JDG3R8Z4000", False, False),
    ],
)
def test_a_filter_applies_to_alerts_as_at_the_server(
    q: str, fits: bool, fits_of_replay: bool
) -> None:
    parsed = parse(q)
    for fields, expected in ((ALERT, fits), (OF_A_REPLAY, fits_of_replay)):
        (line,) = log_lines([FeedLine("alert", AT, fields)])
        assert parsed.matches(subject_of(line, {3: "billing"}), line.at_ms) is expected
        known = {name: fields[name] for name in ALERT if name not in ("kind", "at", "change")}
        alert = Alert(**known, opened_at=AT, changed_at=AT, changed_by="server")
        at_server = item_subject(FeedItem("alert", line.at_ms, AccountId(1), alert))
        assert parsed.matches(at_server, line.at_ms) is expected
