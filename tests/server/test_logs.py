"""The log is safe to look at, and strangers cannot fill the disk with it."""

from __future__ import annotations

import logging

from hooktui.server.logs import DuplicateFilter, LogFormatter, RateFilter
from tests.support.clocks import Clock


def _record(
    level: int = logging.INFO, name: str = "hooktui", at_s: float = 0.0
) -> logging.LogRecord:
    record = logging.LogRecord(name, level, "", 0, "refused %s", ("x",), None)
    record.created = at_s
    return record


def test_a_flood_of_lines_is_cut_and_the_next_line_says_how_many_are_missing():
    clock = Clock()
    limited = RateFilter(clock.steady_s)
    let_through = sum(limited.filter(_record()) for _ in range(5000))
    assert let_through == RateFilter.AT_ONCE
    clock.advance(1)
    later = [_record() for _ in range(100)]
    assert sum(limited.filter(one) for one in later) == RateFilter.PER_S
    assert later[0].getMessage() == "refused x (4,000 lines before it omitted)"
    assert later[1].getMessage() == "refused x"


def test_an_error_is_written_whatever_came_before():
    limited = RateFilter(lambda: 0.0)
    for _ in range(5000):
        limited.filter(_record())
    assert limited.filter(_record(logging.ERROR))
    assert not limited.filter(_record())


def test_a_flood_of_one_part_of_the_program_leaves_the_lines_of_others():
    """Red with one budget for all: refusals drop the daily head of the audit trail."""
    limited = RateFilter(lambda: 0.0)
    for _ in range(5000):
        limited.filter(_record(name="hooktui.api.middleware"))
    assert not limited.filter(_record(logging.WARNING, "hooktui.api.middleware"))
    head = _record(name="hooktui.server")
    assert limited.filter(head)
    assert head.getMessage() == "refused x"


def test_a_problem_that_lasts_is_written_once_a_minute_with_the_number_of_its_lines():
    repeated = DuplicateFilter()
    lines = [_record(logging.WARNING, at_s=second) for second in range(130)]
    written = [one for one in lines if repeated.filter(one)]
    assert [one.created for one in written] == [0, 60, 120]
    texts = [one.getMessage() for one in written]
    since = "1970-01-01T00:0{}:00.000Z"
    assert texts == [
        "refused x",
        f"refused x (59 equal lines omitted since {since.format(0)})",
        f"refused x (59 equal lines omitted since {since.format(1)})",
    ]
    assert repeated.filter(_record(logging.WARNING, at_s=50)), "the clock was set back"


def test_only_equal_warnings_and_errors_of_one_logger_are_repeated_ones():
    repeated = DuplicateFilter()
    different = [_record(logging.WARNING), _record(logging.WARNING, "hooktui.store"), _record()]
    assert all(repeated.filter(one) for one in [*different, _record()])
    failed = [_record(logging.ERROR, "hooktui.delivery") for _ in range(3)]
    for record, error in zip(failed, (KeyError("a"), KeyError("b"), KeyError("b")), strict=True):
        record.exc_info = (type(error), error, None)
    assert [repeated.filter(one) for one in failed] == [True, True, False]


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
