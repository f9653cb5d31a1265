"""What became of an event, in words; the types of the dialog that sends one, and its judge."""

from dataclasses import replace

import pytest

from hooktui.console.events.emit_screen import type_rows, wrong_json
from hooktui.console.events.event_screen import DecisionPages
from hooktui.console.events.text import (
    accepted_words,
    decision_columns,
    decision_reason,
    decision_state,
    event_columns,
    outcomes,
    worst_status,
)
from hooktui.console.glyphs import UNICODE
from hooktui.console.widgets.page_window import PageQuery
from hooktui.console.widgets.table import place
from hooktui.domain.catalogue import ETL
from hooktui.domain.wire.events import (
    MAX_BODY_BYTES,
    AcceptedEvent,
    Event,
    EventCounts,
    EventDetail,
    HookDecision,
    Skip,
)
from hooktui.domain.wire.pages import Page
from tests.support.wire_objects import AT, AT_MS, KEY, delivery

EVENT = Event(
    id="evt_0000000000001", type="job.failed", account=1, created_at=AT, size=10, deliveries=2,
    skipped=1, counts=EventCounts(delivered=1),
)  # fmt: skip
DECISION = HookDecision(
    hook=12, name="billing", deleted=False, decision="sent", reason="asks for it", as_of_now=False,
    deliveries=1, delivery=delivery(status="delivered", finished_at=AT),
)  # fmt: skip


def text(pieces) -> str:
    return "".join(piece for piece, _ in pieces)


@pytest.mark.parametrize(
    ("counts", "word"),
    [
        (EventCounts(delivered=3, failed=1, waiting=1), "✗ failed"),
        (EventCounts(delivered=3, failed=2, superseded=1), "✗ failed"),
        # Red when an event that a replay delivered remains failed.
        (EventCounts(delivered=3, failed=1, superseded=1), "✓ delivered"),
        (EventCounts(delivered=3, waiting=1), "◌ waiting"),
        (EventCounts(delivered=3), "✓ delivered"),
        (EventCounts(cancelled=2), "⊘ cancelled"),
        (None, "  2 sent"),
    ],
)
def test_an_event_stands_like_the_worst_of_its_deliveries(counts, word):
    assert text(worst_status(replace(EVENT, counts=counts), UNICODE)) == word


def test_an_event_that_went_nowhere_says_why():
    nowhere = replace(EVENT, deliveries=0, counts=EventCounts())
    assert text(worst_status(nowhere, UNICODE)) == "○ skipped"
    assert text(worst_status(replace(nowhere, skipped=0), UNICODE)) == "  no hook"


@pytest.mark.parametrize("room", [57, 77, 117, 250])
def test_the_columns_fit_and_the_state_is_never_dropped(room):
    for columns, kept in (
        (event_columns(UNICODE, lambda: AT_MS), {"received", "type", "state"}),
        (decision_columns(UNICODE, lambda: AT_MS, KEY), {"state", "hook", "why"}),
    ):
        placed = place(columns, room)
        assert kept <= {one.column.name for one in placed}
        assert sum(one.width + 2 for one in placed) - 2 <= room


@pytest.mark.parametrize(
    ("changed", "state", "reason"),
    [
        ({}, "✓ delivered", "delivered at"),
        ({"deliveries": 3}, "✓ delivered", "; the latest of 3 deliveries"),
        ({"delivery": None, "decision": "filter", "reason": "x"}, "○ filtered", "x"),
        ({"delivery": None, "decision": "disabled", "reason": "x"}, "○ disabled", "x"),
        (
            {"delivery": None, "decision": "not_subscribed", "reason": "x", "as_of_now": True},
            "  not subscribed",
            "x (as of now)",
        ),
        ({"delivery": None, "decision": "later", "reason": "x"}, "  later", "x"),
    ],
)
def test_each_decision_has_a_word_and_a_reason(changed, state, reason):
    one = replace(DECISION, **changed)
    assert text(decision_state(one, UNICODE)) == state
    assert reason in text(decision_reason(one, AT_MS, KEY))


def test_a_sent_event_says_where_it_went():
    sent = AcceptedEvent(id="evt_1", type="job.failed", account=1, deliveries=3, skipped=1)
    assert accepted_words(sent) == "3 deliveries, 1 skipped"
    assert (
        accepted_words(replace(sent, deliveries=0, skipped=0)) == "no hook subscribes to this type"
    )
    detail = EventDetail(
        id="evt_1", type="job.failed", account=1, created_at=AT, size=2, body="{}",
        deliveries=(delivery(),), skips=(Skip(hook=1, reason="filter"),),
    )  # fmt: skip
    assert outcomes(detail) == "1 delivery, skipped 1 hook"
    assert (
        outcomes(replace(detail, deliveries=(), skips=()))
        == "no hook was subscribed when it was received"
    )


# The dialog


def test_types_are_found_by_words_and_a_group_is_named_once():
    rows = type_rows(ETL, "")
    assert [row.group for row in rows if row.group] == ["Job", "Cluster"]
    assert [row.id for row in type_rows(ETL, "FAIL job")] == ["job.failed"]
    assert [(row.id, row.group) for row in type_rows(ETL, "cluster idle")] == [
        ("cluster.idled", "Cluster")
    ]
    assert type_rows(ETL, "nothing like it") == []


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ("{}", None),
        ('{"a": [1, null, "x"]}', None),
        ("7", None),
        ("", "an event needs a body"),
        ('{"a": 1\n "b": 2}', "line 2, column 2: expecting ',' delimiter"),
        ('{"a": NaN}', "NaN is not JSON"),
        ('"\ud800"', "line 1, column 2: half a character"),
        ('"' + "x" * MAX_BODY_BYTES + '"', "over the limit of"),
        ("[" * 100_000, ""),
    ],
)
def test_a_body_is_judged_with_the_place_of_its_error(body, wrong):
    """Red when the dialog sends what the server refuses, or blames the wrong place."""
    found = wrong_json(body)
    assert (found is None) if wrong is None else (found is not None and wrong in found)


# The list of hooks of an event


class Answers:
    """Answers for the calls of `DecisionPages`, from two lists."""

    def __init__(self, asked: int, others: int) -> None:
        self.lists = {"true": list(range(asked)), "false": list(range(100, 100 + others))}

    async def __call__(self, call) -> Page[HookDecision]:
        query = dict(part.split("=") for part in call.path.partition("?")[2].split("&"))
        rows, limit = self.lists[query["concerned"]], int(query["limit"])
        at, end = (int(place) for place in query.get("cursor", f"0-{limit}").split("-"))
        if "from_end" in query:
            at, end = max(len(rows) - limit, 0), len(rows)
        return Page(
            data=[replace(DECISION, hook=n) for n in rows[at:end]],
            next=f"{end}-{end + limit}" if end < len(rows) else None,
            prev=f"{max(at - limit, 0)}-{at}" if at else None,
            total=len(rows),
        )


@pytest.mark.parametrize("from_end", [False, True])
@pytest.mark.parametrize(("asked", "others"), [(0, 0), (3, 0), (0, 3), (2, 3), (150, 250)])
async def test_the_hooks_that_asked_come_first_and_none_is_left_out(asked, others, from_end):
    """Red when the seam between the two lists loses or repeats a hook, in either direction."""
    answers = Answers(asked, others)
    pages = DecisionPages(answers, "evt_1")
    found: list[int] = []
    cursor, begun = None, False
    while not begun or cursor is not None:
        from_here = from_end and not begun
        page = await pages.page(
            PageQuery(cursor=cursor, limit=100, from_end=from_here, sort=None, order=None)
        )
        begun = True
        rows = [one.hook for one in page.data]
        found = rows + found if from_end else found + rows
        cursor = page.prev if from_end else page.next
        assert page.total == asked + others
    assert found == [*answers.lists["true"], *answers.lists["false"]]
