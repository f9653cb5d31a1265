"""The log is safe to look at, and strangers cannot fill the disk with it."""

from __future__ import annotations

import logging

from hooktui.server.logs import Bounded, LogFormatter
from tests.support.clocks import Clock


def _record(level: int = logging.INFO, name: str = "hooktui") -> logging.LogRecord:
    return logging.LogRecord(name, level, "", 0, "refused %s", ("x",), None)


def test_a_flood_of_lines_is_cut_and_the_next_line_says_how_many_are_missing():
    clock = Clock()
    bounded = Bounded(clock.steady_s)
    let_through = sum(bounded.filter(_record()) for _ in range(5000))
    assert let_through == Bounded.AT_ONCE
    clock.advance(1)
    later = [_record() for _ in range(100)]
    assert sum(bounded.filter(one) for one in later) == Bounded.PER_S
    assert later[0].getMessage() == "refused x (4000 lines before were omitted)"
    assert later[1].getMessage() == "refused x"


def test_an_error_is_written_whatever_came_before():
    bounded = Bounded(lambda: 0.0)
    for _ in range(5000):
        bounded.filter(_record())
    assert bounded.filter(_record(logging.ERROR))
    assert not bounded.filter(_record())


def test_a_flood_of_one_part_of_the_program_leaves_the_lines_of_others():
    """Red with one budget for all: refusals drop the daily head of the audit trail."""
    bounded = Bounded(lambda: 0.0)
    for _ in range(5000):
        bounded.filter(_record(name="hooktui.api.middleware"))
    assert not bounded.filter(_record(logging.WARNING, "hooktui.api.middleware"))
    head = _record(name="hooktui.server")
    assert bounded.filter(head)
    assert head.getMessage() == "refused x"


def test_the_journal_gets_the_priority_of_each_line():
    """Red when all lines are of one priority: ``journalctl -p warning`` shows nothing."""
    try:
        raise ValueError("<2>not mine")
    except ValueError as error:
        record = logging.LogRecord(
            "hooktui", logging.ERROR, "", 0, "broken", (), (type(error), error, None)
        )
    lines = LogFormatter(journal=True).format(record).splitlines()
    assert len(lines) > 1
    assert all(line.startswith("<3>") for line in lines)
    levels = (logging.DEBUG, logging.INFO, logging.WARNING, logging.CRITICAL)
    assert [LogFormatter(journal=True).format(_record(one))[:3] for one in levels] == [
        "<7>", "<6>", "<4>", "<2>",
    ]  # fmt: skip
    assert not LogFormatter().format(record).startswith("<")
