"""The live hooks: those that are not deleted, as the server holds them in memory.

Rows become `LiveHook` inside the transaction that changed them, and stand in the collection only
after its commit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from sqlalchemy import Connection, RowMapping, select

from hooktui.domain.addresses import parse_url
from hooktui.domain.errors import HooktuiError, Refused
from hooktui.domain.filters import parse_hook_filter
from hooktui.domain.hooks import LiveHook, LiveSecret, wants
from hooktui.domain.ids import AccountId, HookId
from hooktui.store.hook_rows import settings_of
from hooktui.store.keys import Vault
from hooktui.store.tables import HOOK, HOOK_STATE, SECRET


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

    Raises:
        HooktuiError: a row cannot be opened with this key or read by this version; names the hook.
    """
    state = HOOK_STATE.c.hook_id == HOOK.c.id
    wanted = select(HOOK, HOOK_STATE.c.breaker_until).outerjoin(HOOK_STATE, state)
    wanted = wanted.where(HOOK.c.deleted_at.is_(None))
    keys = select(SECRET).where(
        (SECRET.c.expires_at.is_(None)) | (SECRET.c.expires_at > now_ms),
        SECRET.c.sealed.is_not(None),
    )
    found: dict[HookId, LiveHook | None] = {}
    if hooks is not None:
        found = dict.fromkeys(hooks)
        wanted = wanted.where(HOOK.c.id.in_(list(found)))
        keys = keys.where(SECRET.c.hook_id.in_(list(found)))
    secrets: dict[int, list[LiveSecret]] = {}
    for row in conn.execute(keys.order_by(SECRET.c.id.desc())).mappings():
        secrets.setdefault(row["hook_id"], []).append(live_secret(row, vault))
    for row in conn.execute(wanted).mappings().all():
        found[HookId(row["id"])] = _live_hook(row, tuple(secrets.get(row["id"], ())), vault)
    return found


def live_secret(row: RowMapping, vault: Vault) -> LiveSecret:
    """Return a secret from its row, opened."""
    return LiveSecret(
        id=row["id"],
        value=vault.open(row["sealed"], "secret", "sealed", row["id"]),
        created_at_ms=row["created_at"],
        expires_at_ms=row["expires_at"],
    )


def _live_hook(row: RowMapping, secrets: tuple[LiveSecret, ...], vault: Vault) -> LiveHook:
    settings = settings_of(row, vault)
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
        )
    except Refused as error:
        raise HooktuiError(
            f"this version cannot use the stored hook {row['id']}: {error.detail}; "
            "change it with the version that made it"
        ) from error
