"""The rules of operator alerts: when they open and end, and when that is announced."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooktui.domain.alert_events import alert_body, summary
from hooktui.domain.alerts import (
    AlertRules,
    AlertState,
    AlertStatus,
    AlertType,
    Ending,
    HookBatch,
    Opening,
    Resolution,
    after_acknowledging,
    after_announcement,
    after_batch,
    after_ending,
    after_opening,
    after_snooze,
    after_snoozing,
    event_type_of,
    is_reopened,
    key_of,
    wants_announcement,
)
from hooktui.domain.catalogue import OPERATOR
from hooktui.domain.deliveries import DisabledReason
from hooktui.domain.errors import Conflict
from hooktui.domain.hook_failures import FailureStreak

RULES = AlertRules()
NOW = 1_800_000_000_000
FAILING = Opening(AlertType.HOOK_FAILING)
RECOVERED = Ending(AlertType.HOOK_FAILING, Resolution.DELIVERED)


def streak(failed: int, for_s: float) -> FailureStreak:
    return FailureStreak(NOW - round(for_s * 1000) if failed else None, failed)


@pytest.mark.parametrize(
    ("failed", "for_s", "gave_up", "opens"),
    [
        (2, 3600, False, False),
        (3, 59.9, False, False),
        (3, 60, False, True),
        (500, 10, False, False),
        (1, 3600, True, False),  # one poison event among successes
        (2, 0, True, True),
        (0, 0, False, False),
    ],
)
def test_when_a_hook_is_failing(failed: int, for_s: float, gave_up: bool, opens: bool) -> None:
    # Red when any bound is moved by one.
    batch = HookBatch(streak(failed, for_s), gave_up=gave_up, cause="dns")
    assert after_batch(False, batch, RULES, NOW) == ([FAILING] if opens else [])
    assert after_batch(True, batch, RULES, NOW) == []
    # Red when a ping, an interruption or the response of an earlier URL opens it.
    assert after_batch(False, replace(batch, cause=None), RULES, NOW) == []


def test_a_hook_recovers_with_the_first_success() -> None:
    healthy = HookBatch(streak(0, 0), delivered=True)
    assert after_batch(True, healthy, RULES, NOW) == [RECOVERED]
    assert after_batch(False, healthy, RULES, NOW) == []
    again = HookBatch(streak(3, 90), delivered=True, cause="dns")
    assert after_batch(True, again, RULES, NOW) == []  # it fails already: no flapping


def test_a_disabled_hook_is_no_longer_failing() -> None:
    batch = HookBatch(streak(9, 90), gave_up=True, disabled="gone", dead_letters={"http_4xx": 1})
    assert after_batch(True, batch, RULES, NOW) == [
        Ending(AlertType.HOOK_FAILING, Resolution.DISABLED),
        Opening(AlertType.HOOK_DISABLED),
        Opening(AlertType.GAVE_UP, "http_4xx", 1),
    ]


def test_attempts_that_end_after_the_hook_was_disabled_open_nothing() -> None:
    batch = HookBatch(streak(9, 90), gave_up=True, cause="dns")
    assert after_batch(False, batch, RULES, NOW, disabled=DisabledReason.BY_HAND) == []


def test_dead_letters_open_an_alert_for_each_cause() -> None:
    batch = HookBatch(streak(0, 0), delivered=True, dead_letters={"dns": 3, "http_404": 1})
    assert after_batch(False, batch, RULES, NOW) == [
        Opening(AlertType.GAVE_UP, "dns", 3),
        Opening(AlertType.GAVE_UP, "http_404", 1),
    ]


# Red when no dead letter of a 410 opens one: a late 410 of an earlier URL loses its event unseen.
@pytest.mark.parametrize("disabled", [None, *DisabledReason])
def test_a_410_opens_an_alert_unless_it_disabled_the_hook(disabled: DisabledReason | None) -> None:
    batch = HookBatch(streak(1, 0), dead_letters={"http_410": 1})
    opened = Opening(AlertType.GAVE_UP, "http_410", 1)
    expected = [] if disabled is DisabledReason.GONE else [opened]
    assert after_batch(False, batch, RULES, NOW, disabled=disabled) == expected


def test_the_catalogue_has_all_event_types_and_no_other() -> None:
    types = {
        event_type_of(kind, state, resolution)
        for kind in AlertType
        for state in AlertState
        for resolution in (None, *Resolution)
        if kind is not AlertType.REPLAY_FINISHED or state is AlertState.RESOLVED
    }
    assert types == {one.id for one in OPERATOR.types}
    assert len(types) == 13


@pytest.mark.parametrize(
    ("kind", "resolution", "expected"),
    [
        (AlertType.HOOK_FAILING, Resolution.DELIVERED, "hook.recovered"),
        (AlertType.HOOK_FAILING, Resolution.DISABLED, "alert.closed"),
        (AlertType.HOOK_FAILING, Resolution.ENABLED, "alert.closed"),
        (AlertType.HOOK_FAILING, Resolution.CHANGED, "alert.closed"),
        (AlertType.HOOK_DISABLED, Resolution.ENABLED, "hook.enabled"),
        (AlertType.HOOK_DISABLED, Resolution.DELETED, "alert.closed"),
        (AlertType.GAVE_UP, Resolution.CLEARED, "delivery.cleared"),
        (AlertType.EXPIRING, Resolution.DELIVERED, "delivery.cleared"),
        (AlertType.GAVE_UP, Resolution.EXPIRED, "delivery.cleared"),
        (AlertType.GAVE_UP, Resolution.DELETED, "alert.closed"),
        (AlertType.QUEUE_BEHIND, Resolution.RECOVERED, "queue.caught_up"),
        (AlertType.DISK_LOW, Resolution.RECOVERED, "disk.recovered"),
        (AlertType.REPLAY_PAUSED, Resolution.ENDED, "alert.closed"),
        (AlertType.REPLAY_FINISHED, Resolution.ENDED, "replay.finished"),
    ],
)
def test_the_event_of_an_end(kind: AlertType, resolution: Resolution, expected: str) -> None:
    assert event_type_of(kind, AlertState.RESOLVED, resolution) == f"hooktui.{expected}"


@pytest.mark.parametrize("back_ms", [1, AlertRules().quiet_ms, 10 * AlertRules().quiet_ms])
def test_an_alert_that_ended_in_the_future_has_not_just_ended(back_ms: int) -> None:
    ended = after_ending(
        after_opening(None, 1, AlertRules(), NOW, "hooktui"), Resolution.DELIVERED, NOW, "hooktui"
    )
    assert not is_reopened(ended, AlertRules(), NOW - back_ms)


# The life of one key, as a store runs it


@dataclass
class Life:
    """One key: what happens to it, and what is announced."""

    rules: AlertRules
    now: int = NOW
    alert: AlertStatus | None = None
    announced: list[tuple[str, int]] = field(default_factory=list)

    def open(self, count: int = 1) -> None:
        before = self.alert
        if before is not None and before.state is AlertState.RESOLVED:
            again = is_reopened(before, self.rules, self.now)
            assert again is (0 <= self.now - (before.resolved_at or 0) < self.rules.quiet_ms)
        self.alert = after_opening(before, count, self.rules, self.now, "hooktui")
        if before is None or before.state is AlertState.RESOLVED:
            self.announce()

    def end(self) -> None:
        if self.alert is not None:
            self.alert = after_ending(self.alert, Resolution.DELIVERED, self.now, "hooktui")
            self.announce()

    def acknowledge(self) -> None:
        if self.alert is not None and self.alert.state is not AlertState.RESOLVED:
            self.alert = after_acknowledging(self.alert, self.now, "ann")

    def snooze(self) -> None:
        if self.alert is not None and self.alert.state is not AlertState.RESOLVED:
            self.alert = after_snoozing(self.alert, self.now + 90_000, self.now, "ann")

    def look(self) -> None:
        if self.alert is not None:
            self.alert = after_snooze(self.alert, self.now, "hooktui")
            self.announce()

    def announce(self) -> None:
        alert = self.alert
        assert alert is not None
        if not wants_announcement(alert, self.rules, self.now):
            return
        if alert.state is AlertState.RESOLVED:
            self.announced.append(("end", self.now))
        elif alert.announced is AlertState.OPEN:
            self.announced.append(("news", self.now))
        else:
            self.announced.append(("opening", self.now))
        self.alert = after_announcement(alert, self.now)
        assert not wants_announcement(self.alert, self.rules, self.now)


steps = st.lists(
    st.tuples(
        st.sampled_from(["open", "end", "acknowledge", "snooze", "look", "look", "open"]),
        st.sampled_from([0, 1, 1_000, 20_000, 95_000, 300_000, 599_999, 600_000, 4_000_000]),
    ),
    max_size=60,
)


@given(steps, st.sampled_from([0.0, 60.0, 600.0]))
def test_openings_are_apart_and_alternate_with_ends(
    history: list[tuple[str, int]], quiet_s: float
) -> None:
    # Red without the quiet time, when an end is announced without its opening, or when a snooze
    # that ends announces another opening.
    life = Life(AlertRules(quiet_s=quiet_s))
    for step, wait_ms in history:
        life.now += wait_ms
        getattr(life, step)()
    openings = [at for kind, at in life.announced if kind != "end"]
    assert all(b - a >= quiet_s * 1000 for a, b in itertools.pairwise(openings))
    pairs = [kind for kind, _ in life.announced if kind != "news"]
    assert pairs == ["opening", "end"] * (len(pairs) // 2) + ["opening"] * (len(pairs) % 2)


@given(steps)
def test_an_end_leaves_nothing_to_announce(history: list[tuple[str, int]]) -> None:
    life = Life(RULES)
    for step, wait_ms in history:
        life.now += wait_ms
        getattr(life, step)()
    life.end()
    pairs = [kind for kind, _ in life.announced if kind != "news"]
    assert len(pairs) % 2 == 0


def results(ends: list[bool]) -> Iterator[tuple[int, FailureStreak, bool]]:
    since, failed = None, 0
    for place, delivered in enumerate(ends):
        now = NOW + place * 20_000
        since, failed = (None, 0) if delivered else (since or now, failed + 1)
        yield now, FailureStreak(since, failed), delivered


@given(st.lists(st.booleans(), max_size=200))
def test_no_sequence_of_results_floods_a_key(ends: list[bool]) -> None:
    life = Life(RULES)
    failing = False
    for now, now_streak, delivered in results(ends):
        life.now = now
        batch = HookBatch(now_streak, delivered, cause=None if delivered else "dns")
        for change in after_batch(failing, batch, RULES, now):
            failing = isinstance(change, Opening)
            life.open() if failing else life.end()
        life.look()
    openings = [at for kind, at in life.announced if kind == "opening"]
    gaps = itertools.pairwise(openings)
    assert all(b - a >= RULES.quiet_ms for a, b in gaps)
    assert sum(kind == "end" for kind, _ in life.announced) in (len(openings), len(openings) - 1)


def test_an_alert_that_opens_soon_again_keeps_its_id_and_says_nothing() -> None:
    life = Life(RULES)
    life.open()
    life.now += 60_000
    life.end()
    life.now += 60_000
    life.open()
    assert life.alert is not None
    assert life.alert.opened_at == NOW
    life.look()
    assert life.announced == [("opening", NOW), ("end", NOW + 60_000)]
    life.now = NOW + 600_000
    life.look()
    assert life.announced[-1] == ("opening", NOW + 600_000)


def test_an_alert_that_was_never_announced_ends_in_silence() -> None:
    opened = AlertStatus(opened_at=NOW, changed_at=NOW, changed_by="hooktui")
    ended = after_ending(opened, Resolution.DELIVERED, NOW, "hooktui")
    assert wants_announcement(opened, RULES, NOW)
    assert not wants_announcement(ended, RULES, NOW)


def test_growth_is_announced_at_powers_of_ten_after_the_quiet_time() -> None:
    life = Life(RULES)
    life.open()
    told = []
    for count in (8, 1, 80, 10, 900, 1):
        life.now += 700_000
        life.open(count)
        life.look()
        told.append(life.announced[-1] == ("news", life.now))
    assert told == [False, True, False, True, True, False]


def test_a_snoozed_alert_is_announced_again_and_an_acknowledged_one_is_not() -> None:
    life = Life(RULES)
    life.open()
    life.acknowledge()
    life.now += 3_600_000
    life.look()
    assert life.announced == [("opening", NOW)]
    life.snooze()
    life.now += 89_000
    life.look()
    assert life.alert is not None
    assert life.alert.state is AlertState.SNOOZED
    life.now += 1_000
    life.look()
    assert life.alert.state is AlertState.OPEN
    assert life.announced[-1] == ("news", life.now)
    life.end()
    assert [kind for kind, _ in life.announced] == ["opening", "news", "end"]


def test_a_resolved_alert_can_be_neither_acknowledged_nor_snoozed() -> None:
    ended = after_ending(
        AlertStatus(opened_at=NOW, changed_at=NOW, changed_by="x"), Resolution.CLEARED, NOW, "x"
    )
    with pytest.raises(Conflict):
        after_acknowledging(ended, NOW, "ann")
    with pytest.raises(Conflict):
        after_snoozing(ended, NOW + 1, NOW, "ann")
    assert after_ending(ended, Resolution.DELETED, NOW + 5, "x") is ended


FACTS = {
    "hook": {"id": 3, "name": "Grüße", "host": "hooks.example.com"},
    "cause": "http_5xx", "code": 503, "failures_in_a_row": 7, "failing_since": None, "waiting": 12,
    "example": "dlv_0000000000001", "alert_path": True, "reason": "no success for 5 days",
    "replay": {"id": "rpl_1", "sent": 2, "failed": 1}, "disk": {"free": 1 << 30}, "late_s": 400,
}  # fmt: skip


def test_a_body_is_ascii_and_holds_the_alert_first() -> None:
    status = AlertStatus(opened_at=NOW, changed_at=NOW, changed_by="hooktui")
    content = alert_body(5, 1, AlertType.HOOK_FAILING, "hook.failing:3", status, FACTS)
    assert content.isascii()
    body = json.loads(content)
    assert list(body)[:3] == ["alert", "account", "summary"]
    assert list(body["alert"]) == [
        "id", "type", "key", "state", "opened_at", "resolved_at", "resolution", "count",
        "alert_path",
    ]  # fmt: skip
    assert body["alert"]["alert_path"] is True
    assert "reason" not in body
    assert "alert_path" not in body


def test_every_alert_has_a_summary_in_every_state() -> None:
    opened = AlertStatus(opened_at=NOW, changed_at=NOW, changed_by="hooktui")
    for kind in AlertType:
        for resolution in Resolution:
            ended = after_ending(opened, resolution, NOW + 90_000, "hooktui")
            for status in (opened, ended):
                line = summary(kind, status, FACTS)
                assert line
                assert "None" not in line
                assert "\n" not in line
                assert summary(kind, status, {}) != ""


# Red when a replay that only attempted retries early is announced as "0 sent".
def test_the_summary_of_a_replay_counts_the_retries_that_it_sent() -> None:
    status = AlertStatus(opened_at=NOW, changed_at=NOW, changed_by="hooktui")
    facts = {"replay": {"id": "rpl_1", "sent": 0, "retried": 12, "failed": 1}}
    line = summary(AlertType.REPLAY_FINISHED, status, facts)
    assert line == "replay rpl_1 finished: 12 sent, 1 failed"


def test_keys_name_their_subject() -> None:
    assert key_of(AlertType.HOOK_FAILING, 3) == "hook.failing:3"
    assert key_of(AlertType.GAVE_UP, 3, "dns") == "delivery.gave_up:3:dns"
    assert key_of(AlertType.DISK_LOW) == "disk.low"
