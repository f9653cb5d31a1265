"""The filters of the log see the cause and the replay of the delivery of an attempt."""

from __future__ import annotations

import pytest

from hooktui.console.log.columns import subject_of
from hooktui.console.shell.change_feed import log_lines
from hooktui.domain.filters.parser import parse
from hooktui.domain.wire.feed import FeedLine
from tests.support.scripted_server import ATTEMPT

AT = "2026-11-25T00:00:00.000Z"
LINE = {
    **ATTEMPT, "kind": "attempt", "at": AT, "hook": 3, "account": 1, "event": "evt_1",
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
    ],
)
def test_a_line_fits_as_its_delivery_does(q: str, fits: bool, fits_old: bool) -> None:
    # An old server sends neither of the fields.
    old = {name: value for name, value in LINE.items() if name not in ("held", "cause", "replay")}
    for fields, expected in ((LINE, fits), (old, fits_old)):
        (line,) = log_lines([FeedLine("attempt", AT, fields)])
        assert parse(q).matches(subject_of(line, {}), line.at_ms) is expected
