"""The live hooks: those that are not deleted, held in the server's memory.

Rows become `LiveHook` inside the transaction that changed them, and enter the collection only after
its commit.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import starmap
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Select, select

from hooktui.domain.addresses import parse_url
from hooktui.domain.alerts import is_alert_path
from hooktui.domain.catalogue import PING, group_of
from hooktui.domain.errors import HooktuiError, Refused
from hooktui.domain.filters.parser import parse_hook_filter
from hooktui.domain.ids import AccountId, HookId
from hooktui.domain.live_hook import LiveHook, LiveSecret
from hooktui.store.hook_rows import SETTINGS, StoredSettings, readable_settings, settings_of
from hooktui.store.sealed_values import bound_to_hook
from hooktui.store.tables import HOOK, HOOK_STATE, SECRET
from hooktui.store.vault import ValueMoved, Vault

_log = logging.getLogger(__name__)

_LOADED_AT_ONCE = 10_000
"""Hooks that a query names one by one; PostgreSQL accepts 32,767."""


class UnusableHook(HooktuiError):
    """The stored settings of a hook are those of another version, or were changed."""

    title = "Stored hook cannot be used"


@dataclass(frozen=True, slots=True)
class Subscribers:
    """The hooks that subscribe to a type, enabled or not; ``weight`` is that of their filters."""

    hooks: tuple[LiveHook, ...]
    weight: int


@dataclass(slots=True)
class _Named:
    """The hooks that name one type or group, and the weight of their filters."""

    hooks: dict[HookId, LiveHook] = field(default_factory=dict)
    weight: int = 0
    _listed: tuple[LiveHook, ...] | None = ()

    def put(self, hook: LiveHook) -> None:
        old = self.hooks.get(hook.id)
        self.weight += hook.filter_weight - (0 if old is None else old.filter_weight)
        self.hooks[hook.id] = hook
        self._listed = None

    def remove(self, hook: HookId) -> None:
        self.weight -= self.hooks.pop(hook).filter_weight
        self._listed = None

    def listed(self) -> tuple[LiveHook, ...]:
        """Return the hooks; types of one group share the tuple until one of them changes."""
        if self._listed is None:
            self._listed = tuple(self.hooks.values())
        return self._listed


class LiveHooks:
    """All live hooks and their subscriptions.

    Changed only in the event loop's thread, between transactions. The cost of changing one hook
    does not grow with their number: an account may have 100,000.

    Attributes:
        view: the hooks by their ids.
        paused: whether all sending is paused.
        filtered: the number of hooks with a filter.
        alert_hooks: the hooks that subscribe to operator alerts.
    """

    def __init__(self) -> None:
        self.paused = False
        self.filtered = 0
        self._hooks: dict[HookId, LiveHook] = {}
        self._by_name: dict[tuple[AccountId, str], _Named] = {}
        self._counts: Counter[AccountId] = Counter()
        self._subscribers: dict[AccountId, dict[str, Subscribers]] = {}
        self.view: Mapping[HookId, LiveHook] = MappingProxyType(self._hooks)
        self.alert_hooks: set[HookId] = set()

    def put(self, changed: Mapping[HookId, LiveHook | None]) -> None:
        """Apply changed hooks; None deletes one."""
        for hook, live in sorted(changed.items()):
            old = self._hooks.get(hook)
            if old is not None:
                self._unindex(old, () if live is None else _names(live))
            if live is not None:
                self._hooks[hook] = live
                self._index(live)
            elif old is not None:
                del self._hooks[hook]

    def _unindex(self, old: LiveHook, new_names: Sequence[str]) -> None:
        self._counts[old.account] -= 1
        self.filtered -= old.filter is not None
        self._subscribers.pop(old.account, None)
        for name in _names(old):
            if name not in new_names:
                self._by_name[old.account, name].remove(old.id)
        self.alert_hooks.discard(old.id)

    def _index(self, live: LiveHook) -> None:
        self._counts[live.account] += 1
        self.filtered += live.filter is not None
        self._subscribers.pop(live.account, None)
        for name in _names(live):
            self._by_name.setdefault((live.account, name), _Named()).put(live)
        if is_alert_path(live.subscriptions):
            self.alert_hooks.add(live.id)

    def count(self, account: AccountId) -> int:
        """Return how many hooks an account has."""
        return self._counts[account]

    def subscribers(self, account: AccountId, event_type: str) -> Subscribers:
        """Return the hooks of an account that subscribe to a type, enabled or disabled."""
        known = self._subscribers.get(account)
        if known is None:
            known = self._subscribers[account] = {}
        subscribers = known.get(event_type)
        if subscribers is None:
            subscribers = known[event_type] = self._find(account, event_type)
        return subscribers

    def _find(self, account: AccountId, event_type: str) -> Subscribers:
        if event_type == PING:
            return Subscribers((), 0)
        of_group = self._by_name.get((account, group_of(event_type)), _Named())
        if "." not in event_type:
            return Subscribers(of_group.listed(), of_group.weight)
        of_type = self._by_name.get((account, event_type), _Named())
        hooks = of_group.listed() + of_type.listed()
        return Subscribers(hooks, of_group.weight + of_type.weight)


def _names(hook: LiveHook) -> Sequence[str]:
    """Return the types and groups that a hook subscribes to, without types that a group covers."""
    names = hook.subscriptions
    return [name for name in names if name == group_of(name) or group_of(name) not in names]


class SealedSecret(NamedTuple):
    """A secret and the account of its hook."""

    id: int
    hook_id: int
    expires_at: int | None
    sealed: bytes
    account_id: int


SEALED_SECRETS: Select[Any] = select(
    *(SECRET.c[name] for name in SealedSecret._fields if name in SECRET.c), HOOK.c.account_id
).join(HOOK, HOOK.c.id == SECRET.c.hook_id)
"""The query for `SealedSecret`."""


def load_live_hooks(
    conn: Connection, vault: Vault, now_ms: int, hooks: Iterable[HookId] | None = None
) -> dict[HookId, LiveHook | None]:
    """Return live hooks from their rows: the given ones, or all; None for a deleted one.

    If an encrypted value was moved from another hook, the hook sends nothing; ``refusal`` says why.

    Raises:
        KeyProblem: a key is missing.
        UnusableHook: this version cannot read a row; names the hook.
    """
    if hooks is None:
        return dict(_load(conn, vault, now_ms, None))
    loaded: dict[HookId, LiveHook | None] = dict.fromkeys(hooks)
    named = list(loaded)
    for start in range(0, len(named), _LOADED_AT_ONCE):
        loaded |= _load(conn, vault, now_ms, named[start : start + _LOADED_AT_ONCE])
    return loaded


def _load(
    conn: Connection, vault: Vault, now_ms: int, hooks: Sequence[HookId] | None
) -> dict[HookId, LiveHook]:
    """Return the live hooks among the given ones, or all."""
    secrets, refusals = _load_secrets(conn, vault, now_ms, hooks)
    state = HOOK_STATE.c.hook_id == HOOK.c.id
    state_columns = (HOOK_STATE.c.breaker_until, HOOK_STATE.c.failing_alert)
    columns = (HOOK.c.version, *state_columns, HOOK.c.id, HOOK.c.account_id)
    query = select(*columns, HOOK.c.sealed, *SETTINGS).outerjoin(HOOK_STATE, state)
    query = query.where(HOOK.c.deleted_at.is_(None))
    if hooks is not None:
        query = query.where(HOOK.c.id.in_(hooks))
    loaded: dict[HookId, LiveHook] = {}
    for version, until, alert, hook, account, sealed, *settings in conn.execute(query).all():
        stored = StoredSettings(hook, account, sealed, settings)
        own = tuple(secrets.get(hook, ()))
        live = loaded[hook] = _live_hook(
            stored, version, until, alert, own, vault, refusals.get(hook)
        )
        if live.refusal is not None:
            _log.error("hook %s sends nothing: %s", hook, live.refusal)
    return loaded


def _load_secrets(
    conn: Connection, vault: Vault, now_ms: int, hooks: Sequence[HookId] | None
) -> tuple[dict[int, list[LiveSecret]], dict[int, str]]:
    """Return the valid secrets by hook, newest first, and why those of some hooks are refused."""
    query = SEALED_SECRETS.where(
        (SECRET.c.expires_at.is_(None)) | (SECRET.c.expires_at > now_ms),
        SECRET.c.sealed.is_not(None),
    )
    if hooks is not None:
        query = query.where(SECRET.c.hook_id.in_(hooks))
    secrets: dict[int, list[LiveSecret]] = {}
    refusals: dict[int, str] = {}
    for row in starmap(SealedSecret, conn.execute(query.order_by(SECRET.c.id.desc()))):
        try:
            secrets.setdefault(row.hook_id, []).append(live_secret(row, vault))
        except ValueMoved as error:
            refusals[row.hook_id] = error.detail
    return secrets, refusals


def live_secret(row: SealedSecret, vault: Vault) -> LiveSecret:
    """Return a decrypted secret.

    Raises:
        ValueMoved: it was not stored for this hook.
    """
    return LiveSecret(
        id=row.id,
        value=vault.decrypt(
            row.sealed, "secret", row.id, bound_to_hook(row.account_id, row.hook_id)
        ),
        expires_at_ms=row.expires_at,
    )


def _live_hook(
    stored: StoredSettings,
    version: int,
    breaker_until_ms: int | None,
    failing_alert: int | None,
    secrets: tuple[LiveSecret, ...],
    vault: Vault,
    refusal: str | None,
) -> LiveHook:
    try:
        try:
            settings = settings_of(stored, vault)
        except ValueMoved as error:
            settings, refusal = readable_settings(stored), error.detail
        return LiveHook(
            id=stored.hook,
            account=stored.account,
            version=version,
            settings=settings,
            target=parse_url(settings.url),
            subscriptions=frozenset(settings.events),
            filter=None if settings.filter is None else parse_hook_filter(settings.filter),
            secrets=secrets,
            breaker_until_ms=breaker_until_ms,
            failing=failing_alert is not None,
            refusal=refusal,
        )
    except (Refused, msgspec.MsgspecError) as error:
        raise UnusableHook(
            f"this version cannot use the stored hook {stored.hook}: {error}; "
            "change it with the version that created it, or restore an older backup"
        ) from error
