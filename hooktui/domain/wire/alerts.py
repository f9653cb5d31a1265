"""Operator alerts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A condition that needs an operator, until it ends.

    Attributes:
        id: ``alr_…``.
        account: its account.
        type: such as ``hook.failing``.
        key: type and subject, such as ``hook.failing:3``; at most one alert of a key is unresolved.
        state: ``open``, ``acknowledged``, ``snoozed`` or ``resolved``.
        summary: one line of plain text.
        hook: the hook's number.
        hook_name: the hook's name.
        cause: of the undelivered events.
        replay: ``rpl_…``.
        count: how often it happened, such as the deliveries that were given up.
        opened_at: RFC 3339, like all times.
        changed_at: when its state changed last.
        changed_by: the user, or the server.
        snoozed_until: when it opens again.
        resolved_at: when it ended.
        resolution: how it ended.
        announced_at: when it was last announced as open.
        hooks_notified: number of hooks that its last event was sent to.
    """

    id: str
    account: int
    type: str
    key: str
    state: str
    summary: str
    hook: int | None = None
    hook_name: str | None = None
    cause: str | None = None
    replay: str | None = None
    count: int = 1
    opened_at: str
    changed_at: str
    changed_by: str
    snoozed_until: str | None = None
    resolved_at: str | None = None
    resolution: str | None = None
    announced_at: str | None = None
    hooks_notified: int = 0

    @property
    def notified_at(self) -> str | None:
        """When it was last announced as open; one that is resolved from the start: as resolved."""
        return self.announced_at or (self.resolved_at if self.hooks_notified else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertCounts:
    """The number of unresolved alerts, by state."""

    open: int = 0
    acknowledged: int = 0
    snoozed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertHook:
    """A hook that subscribes to alerts: ``state`` is ``ok``, ``failing`` or ``disabled``."""

    hook: int
    name: str
    state: str
    since: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertPath:
    """Whether alerts reach a receiver.

    ``state`` is ``failing`` if a subscribed hook is failing or was disabled by the server, ``none``
    if no hook subscribes, else ``ok``.
    """

    state: str
    hooks: tuple[AlertHook, ...] = ()
