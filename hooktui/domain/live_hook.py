"""A hook in memory, with its secrets decrypted, and why it skips an event."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from hooktui.domain.addresses import ParsedUrl
from hooktui.domain.catalogue import PING, subscribes
from hooktui.domain.filters.terms import Filter, Subject
from hooktui.domain.hook_settings import HookSettings
from hooktui.domain.ids import AccountId, HookId
from hooktui.domain.signatures import standard_key


@dataclass(frozen=True, slots=True)
class LiveSecret:
    """A signing secret; ``expires_at_ms`` is set once a rotation replaced it.

    ``standard_key`` is its key for Standard Webhooks, if it has that form.
    """

    id: int
    value: str = field(repr=False)
    expires_at_ms: int | None = None
    standard_key: bytes | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "standard_key", standard_key(self.value))


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveHook:
    """A hook in memory: checked, parsed, decrypted.

    ``secrets`` are ordered newest first. ``breaker_until_ms`` is when the next probe may be sent,
    set only while its breaker is open; ``failing`` whether an alert says that it is failing.
    ``filter_weight`` is the approximate cost of its filter, 0 without one. ``refusal`` says why
    nothing is sent to it: its encrypted values were not stored for it.
    """

    id: HookId
    account: AccountId
    version: int
    settings: HookSettings
    target: ParsedUrl
    subscriptions: frozenset[str]
    filter: Filter | None
    secrets: tuple[LiveSecret, ...]
    breaker_until_ms: int | None = None
    failing: bool = False
    refusal: str | None = None
    filter_weight: int = field(init=False, compare=False)

    def __post_init__(self) -> None:
        weight = 0 if self.filter is None else 1 + self.filter.weight
        object.__setattr__(self, "filter_weight", weight)

    @property
    def active(self) -> bool:
        """Whether events are sent to it; pings always are."""
        return self.settings.active

    def secrets_at(self, at_ms: int) -> list[LiveSecret]:
        """Return the secrets that sign at a time, newest first."""
        return [s for s in self.secrets if s.expires_at_ms is None or s.expires_at_ms > at_ms]


class SkipReason:
    """Why a subscribed hook is not sent an event; ``SELF``: the event is an alert about it."""

    DISABLED: Final = "disabled"
    FILTER: Final = "filter"
    SELF: Final = "self"


def skip_reason(hook: LiveHook, event: Subject | None) -> str | None:
    """Return why an event is not sent to a subscribed hook; None: it is sent.

    ``event`` is None if no filter is evaluated.
    """
    if not hook.active:
        return SkipReason.DISABLED
    if hook.filter is None or (event is not None and hook.filter.matches(event, event.at_ms)):
        return None
    return SkipReason.FILTER


def wants(hook: LiveHook, event_type: str) -> bool:
    """Return whether a hook subscribes to a type; never to pings."""
    return event_type != PING and subscribes(hook.subscriptions, event_type)
