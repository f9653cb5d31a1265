"""The live hooks: those that are not deleted, as the server holds them in memory.

Rows become `LiveHook` inside the transaction that changed them, and stand in the collection only
after its commit.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from sqlalchemy import Connection, RowMapping, select

from hooktui.domain.addresses import parse_url
from hooktui.domain.errors import HooktuiError, Refused
from hooktui.domain.filters import parse_hook_filter
from hooktui.domain.hooks import LiveHook, LiveSecret, wants
from hooktui.domain.ids import AccountId, HookId
from hooktui.store.hook_rows import readable_settings, settings_of
from hooktui.store.keys import ValueMoved, Vault
from hooktui.store.sealed_places import bound_to_hook
from hooktui.store.tables import HOOK, HOOK_STATE, SECRET

_log = logging.getLogger(__name__)


class LiveHooks:
    """All live hooks, and who subscribes to what. Belongs to the event loop's thread.

    Attributes:
        view: the hooks by their ids.
        paused: whether people paused all sending.
    """

    def __init__(self) -> None:
        self.paused = False
        self._hooks: dict[HookId, LiveHook] = {}
        self._subscribers: dict[tuple[AccountId, str], tuple[LiveHook, ...]] = {}
        self.view: Mapping[HookId, LiveHook] = MappingProxyType(self._hooks)

    def put(self, changed: Mapping[HookId, LiveHook | None]) -> None:
        """Take hooks that changed; None stands for one that was deleted."""
        for hook, live in changed.items():
            if live is None:
                self._hooks.pop(hook, None)
            else:
                self._hooks[hook] = live
        if changed:
            self._subscribers.clear()

    def subscribers(self, account: AccountId, event_type: str) -> tuple[LiveHook, ...]:
        """Return the hooks of an account that subscribe to a type, active or not."""
        found = self._subscribers.get((account, event_type))
        if found is None:
            found = tuple(
                hook
                for _, hook in sorted(self._hooks.items())
                if hook.account == account and wants(hook, event_type)
            )
            self._subscribers[account, event_type] = found
        return found


def load_live_hooks(
    conn: Connection, vault: Vault, now_ms: int, hooks: Iterable[HookId] | None = None
) -> dict[HookId, LiveHook | None]:
    """Return live hooks from their rows: the given ones, or all; None for a deleted one.

    A hook whose encrypted values were not stored for it sends nothing: ``refusal`` says so.

    Raises:
        HooktuiError: a key is missing, or this version cannot read a row; names the hook.
    """
    state = HOOK_STATE.c.hook_id == HOOK.c.id
    wanted = select(HOOK, HOOK_STATE.c.breaker_until).outerjoin(HOOK_STATE, state)
    wanted = wanted.where(HOOK.c.deleted_at.is_(None))
    keys = select(SECRET, HOOK.c.account_id).join(HOOK, HOOK.c.id == SECRET.c.hook_id)
    keys = keys.where(
        (SECRET.c.expires_at.is_(None)) | (SECRET.c.expires_at > now_ms),
        SECRET.c.sealed.is_not(None),
    )
    found: dict[HookId, LiveHook | None] = {}
    if hooks is not None:
        found = dict.fromkeys(hooks)
        wanted = wanted.where(HOOK.c.id.in_(list(found)))
        keys = keys.where(SECRET.c.hook_id.in_(list(found)))
    secrets: dict[int, list[LiveSecret]] = {}
    refusals: dict[int, str] = {}
    for row in conn.execute(keys.order_by(SECRET.c.id.desc())).mappings():
        try:
            secrets.setdefault(row["hook_id"], []).append(live_secret(row, vault))
        except ValueMoved as error:
            refusals[row["hook_id"]] = error.detail
    for row in conn.execute(wanted).mappings().all():
        hook, own = HookId(row["id"]), tuple(secrets.get(row["id"], ()))
        live = found[hook] = _live_hook(row, own, vault, refusals.get(hook))
        if live.refusal is not None:
            _log.error("hook %s sends nothing: %s", hook, live.refusal)
    return found


def live_secret(row: RowMapping, vault: Vault) -> LiveSecret:
    """Return a secret from its row and its hook's account, opened.

    Raises:
        ValueMoved: it was not stored for this hook.
    """
    return LiveSecret(
        id=row["id"],
        value=vault.open(
            row["sealed"],
            "secret",
            "sealed",
            row["id"],
            bound_to_hook(row["account_id"], row["hook_id"]),
        ),
        created_at_ms=row["created_at"],
        expires_at_ms=row["expires_at"],
    )


def _live_hook(
    row: RowMapping, secrets: tuple[LiveSecret, ...], vault: Vault, refusal: str | None
) -> LiveHook:
    try:
        settings = settings_of(row, vault)
    except ValueMoved as error:
        settings, refusal = readable_settings(row), error.detail
    try:
        return LiveHook(
            id=HookId(row["id"]),
            account=AccountId(row["account_id"]),
            version=row["version"],
            settings=settings,
            target=parse_url(settings.url),
            subscriptions=frozenset(settings.events),
            filter=None if settings.filter is None else parse_hook_filter(settings.filter),
            secrets=secrets,
            breaker_until_ms=row["breaker_until"],
            refusal=refusal,
        )
    except Refused as error:
        raise HooktuiError(
            f"this version cannot use the stored hook {row['id']}: {error.detail}; "
            "change it with the version that made it"
        ) from error
