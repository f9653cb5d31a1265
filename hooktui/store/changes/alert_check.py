"""Decides, every 15 seconds at one server, on the alerts that depend on time.

These are queues that are behind, a disk that is low, dead letters that expire, groups that have
emptied, snoozes that have ended, and events that are due.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from hooktui.domain.alert_events import EXPIRED
from hooktui.domain.alerts import (
    CAUGHT_UP_MS,
    ENOUGH_DISK,
    LATE_MS,
    LOW_DISK,
    MAX_PER_MINUTE,
    AlertRules,
    AlertState,
    AlertType,
    Resolution,
    event_type_of,
    key_of,
    snooze_is_over,
    wants_announcement,
)
from hooktui.domain.ids import AccountId, encode
from hooktui.domain.wire import fields_of
from hooktui.domain.wire.server import Disk
from hooktui.store.live_hooks import LiveHooks
from hooktui.store.queries.alert_check import AlertOpening, CheckInput, CheckResult, Expiring, Late
from hooktui.store.queries.alerts import AlertRecord, AlertSubject, hook_facts

CHECK_EVERY_S: Final = 15.0
AT_ONCE: Final = 4
"""Alerts of each kind that one transaction changes: an announcement takes about 1 ms."""
EXPIRING_EVERY: Final = 40
"""Every so many checks search for dead letters that expire: every ten minutes."""


class AlertCheck:
    """Decides at one server, with what its previous check found."""

    def __init__(self, live: LiveHooks, rules: AlertRules) -> None:
        self._live = live
        self._rules = rules
        self._late_before: set[AccountId] = set()
        self._in_time_before: set[AccountId] = set()

    def accounts(self) -> set[AccountId]:
        """Return the accounts with hooks that subscribe to alerts."""
        return {self._live.view[hook].account for hook in self._live.alert_hooks}

    def decide(
        self, seen: CheckInput, disk: Disk | None, expiring: Iterable[Expiring] | None, now_ms: int
    ) -> CheckResult:
        """Return the changes that are due.

        ``disk`` is None if it is another machine's; ``expiring`` are the dead letters that expire
        soon, None if they were not searched this time.
        """
        result = CheckResult()
        known = {alert.key: alert for alert in seen.alerts}
        result.empty = list(seen.empty)
        if seen.late is not None:
            self._decide_queues(seen.late, known, result, now_ms)
        else:  # a pause makes everything late
            self._late_before, self._in_time_before = set(), set()
        self._decide_disk(disk, known, result)
        if expiring is not None:
            self._decide_expiring(expiring, known, result)
        # What ends now is not announced as open just before.
        ending = {*result.empty, *(identity for identity, _ in result.ended)}
        lasting = [alert for alert in seen.alerts if alert.id not in ending]
        result.snoozed = [alert.id for alert in lasting if snooze_is_over(alert.status, now_ms)]
        result.announced = self._due_announcements(lasting, now_ms)
        return result

    def _decide_queues(
        self,
        late: Mapping[AccountId, Late],
        known: Mapping[str, AlertRecord],
        result: CheckResult,
        now_ms: int,
    ) -> None:
        behind = {
            account for account, backlog in late.items() if now_ms - backlog.oldest_due_ms > LATE_MS
        }
        for account in sorted(behind & self._late_before):
            key = key_of(AlertType.QUEUE_BEHIND, account)
            if key not in known:
                subject = AlertSubject(AlertType.QUEUE_BEHIND, key, account)
                result.opened.append(AlertOpening(subject, late[account].facts(now_ms)))
        open_alerts = {
            alert.account: alert for alert in known.values() if alert.kind is AlertType.QUEUE_BEHIND
        }
        in_time = {
            account
            for account in open_alerts
            if account not in late or now_ms - late[account].oldest_due_ms < CAUGHT_UP_MS
        }
        result.ended += [
            (open_alerts[account].id, Resolution.RECOVERED)
            for account in sorted(in_time & self._in_time_before)
        ]
        self._late_before, self._in_time_before = behind, in_time

    def _decide_disk(
        self, disk: Disk | None, known: Mapping[str, AlertRecord], result: CheckResult
    ) -> None:
        key = key_of(AlertType.DISK_LOW)
        alert = known.get(key)
        if disk is None:  # the database was moved there
            if alert is not None:
                result.ended.append((alert.id, Resolution.CLEARED))
        elif alert is None and disk.free < LOW_DISK * disk.reserve:
            subject = AlertSubject(AlertType.DISK_LOW, key, _FIRST_ACCOUNT)
            result.opened.append(AlertOpening(subject, {"disk": fields_of(disk)}))
        elif alert is not None and disk.free > ENOUGH_DISK * disk.reserve:
            result.ended.append((alert.id, Resolution.RECOVERED))

    def _decide_expiring(
        self,
        expiring: Iterable[Expiring],
        known: Mapping[str, AlertRecord],
        result: CheckResult,
    ) -> None:
        keys = set()
        for group in expiring:
            key = key_of(AlertType.EXPIRING, group.hook, group.cause)
            keys.add(key)
            alert = known.get(key)
            count, gone = (alert.status.count, alert.facts.get(EXPIRED, 0)) if alert else (0, 0)
            if (more := group.number + gone - count) > 0:  # so that it is announced again
                result.opened.append(self._expiring_opening(key, group, more))
        ended = set(result.empty)
        for key, alert in known.items():
            if alert.kind is AlertType.EXPIRING and key not in keys and alert.id not in ended:
                result.ended.append((alert.id, Resolution.CLEARED))

    def _expiring_opening(self, key: str, group: Expiring, more: int) -> AlertOpening:
        hook = group.hook
        subject = AlertSubject(AlertType.EXPIRING, key, group.account, hook, group.cause)
        facts = {
            "hook": hook_facts(hook, group.name, self._live.view.get(hook)),
            "cause": group.cause,
            "code": None,
            "waiting": group.waiting,
            "example": encode("dlv", group.example),
        }
        return AlertOpening(subject, facts, more)

    def _due_announcements(self, alerts: Iterable[AlertRecord], now_ms: int) -> list[int]:
        """Return the alerts whose event is due: some of each account, as its limit allows."""
        due: list[int] = []
        counts: Counter[AccountId] = Counter()
        for alert in alerts:
            if alert.status.state is not AlertState.OPEN:
                continue
            wanted = wants_announcement(alert.status, self._rules, now_ms)
            if not wanted or counts[alert.account] >= MAX_PER_MINUTE:
                continue
            event_type = event_type_of(alert.kind, AlertState.OPEN)
            if self._live.subscribers(alert.account, event_type).hooks:
                counts[alert.account] += 1
                due.append(alert.id)
        return due


_FIRST_ACCOUNT: Final = AccountId(1)
"""The account of alerts about the installation."""
