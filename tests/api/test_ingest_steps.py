"""A batch of events is read in steps, so that no batch holds the event loop."""

from hooktui.api.ingest import _parse_events
from hooktui.domain.catalogue import ETL
from hooktui.domain.ids import AccountId

LINE = b'{"type":"job.failed","data":{}}\n'


def steps_of(body: bytes) -> int:
    return sum(1 for _ in _parse_events(body, AccountId(1), ETL, frozenset({"job.failed"})))


# Red when blank lines are passed over without a step: 10,000 of them took 2.5 ms in one piece.
def test_blank_lines_are_steps_of_their_own():
    assert steps_of(b"\n" * 1000 + b" \r\n" * 1000 + LINE) >= 2000


# Red when each line is a step: a batch of 1,000 would go back to the event loop as often.
def test_short_lines_share_a_step():
    assert 1000 / 50 <= steps_of(LINE * 1000) <= 1000 / 10
