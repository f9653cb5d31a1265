"""Creating, changing and deleting hooks."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import insert, update

from hooktui.domain.clock import to_rfc3339
from hooktui.domain.deliveries import DisabledReason
from hooktui.domain.errors import Conflict
from hooktui.domain.hook_failures import BreakerState
from hooktui.domain.hook_settings import HookSettings
from hooktui.domain.ids import AccountId, HookId
from hooktui.domain.roles import Actor
from hooktui.domain.wire.hooks import Hook
from hooktui.store import hook_rows
from hooktui.store.changes.deliveries import cancel_waiting
from hooktui.store.changes.secrets import add_secret, forget_secrets
from hooktui.store.feed_items import HookEdit, hook_item
from hooktui.store.queries.access import get_account
from hooktui.store.queries.hooks import find_hook, get_hook, next_due
from hooktui.store.tables import HOOK, HOOK_STATE, inserted_id
from hooktui.store.tx import Tx


def create_hook(
    tx: Tx, actor: Actor, account: AccountId, settings: HookSettings, secret: str
) -> Hook:
    """Create a hook with its first secret; the settings are already checked.

    Raises:
        NotFound: there is no such account.
    """
    get_account(tx.conn, account)
    made = tx.conn.execute(
        insert(HOOK).values(
            **hook_rows.columns_of(settings),
            **_activity(settings.active, tx.now_ms),
            account_id=account,
            created_at=tx.now_ms,
            updated_at=tx.now_ms,
            updated_by=actor.user,
            version=1,
        )
    )
    hook = HookId(inserted_id(made))
    _seal(tx, hook, account, settings)
    tx.conn.execute(insert(HOOK_STATE).values(hook_id=hook))
    add_secret(tx, account, hook, secret)
    _announce(tx, account, hook, HookEdit.CREATED)
    after = hook_rows.shown(settings)
    tx.audit(actor, "hook.create", f"hook {hook}", account=account, after=after)
    return get_hook(tx.conn, account, hook)


def change_hook(
    tx: Tx,
    actor: Actor,
    account: AccountId | None,
    hook: HookId,
    edit: Callable[[HookSettings], HookSettings],
    version: int | None = None,
) -> Hook:
    """Change a hook's settings; ``edit`` maps the decrypted settings to new ones.

    Raises:
        NotFound: there is no such hook in the account (None: in any).
        Conflict: the hook is not at the version that was read.
        Refused: ``edit`` refused.
        ValueMoved: the write-only values were not stored for this hook's account and URL.
    """
    row = find_hook(tx, account, hook)
    if version is not None and version != row.version:
        raise Conflict(
            f"hook {hook} is at version {row.version}, you read {version}: {row.updated_by} "
            f"changed it at {to_rfc3339(row.updated_at)}; read it again and repeat your change"
        )
    before = hook_rows.settings_of(hook_rows.StoredSettings.of(row), tx.vault)
    after = edit(before)
    if after == before:
        return get_hook(tx.conn, account, hook)
    values = hook_rows.columns_of(after)
    if after.active != before.active:
        values |= _activity(after.active, tx.now_ms)
    tx.conn.execute(
        update(HOOK)
        .where(HOOK.c.id == hook)
        .values(
            **values,
            updated_at=tx.now_ms,
            updated_by=actor.user,
            version=HOOK.c.version + 1,
        )
    )
    _seal(tx, hook, AccountId(row.account_id), after)
    if after.active and (not before.active or after.url != before.url):
        _start_anew(tx, hook)
    owner = AccountId(row.account_id)
    _announce(tx, owner, hook, _edit_of(before, after))
    was, now = hook_rows.difference(hook_rows.shown(before, after), hook_rows.shown(after, before))
    tx.audit(actor, "hook.change", f"hook {hook}", account=owner, before=was, after=now)
    return get_hook(tx.conn, account, hook)


def delete_hook(tx: Tx, actor: Actor, account: AccountId | None, hook: HookId) -> None:
    """Delete a hook and its secrets, cancel its open deliveries, and keep its history.

    Raises:
        NotFound: there is no such hook in the account (None: in any).
    """
    row = find_hook(tx, account, hook)
    owner = AccountId(row.account_id)
    before = hook_rows.shown(hook_rows.readable_settings(hook_rows.StoredSettings.of(row)))
    tx.conn.execute(
        update(HOOK)
        .where(HOOK.c.id == hook)
        .values(
            deleted_at=tx.now_ms,
            active=False,
            sealed=None,
            updated_at=tx.now_ms,
            updated_by=actor.user,
            version=HOOK.c.version + 1,
        )
    )
    forget_secrets(tx, hook)
    cancel_waiting(tx, hook)
    _announce(tx, owner, hook, HookEdit.DELETED)
    tx.audit(actor, "hook.delete", f"hook {hook}", account=owner, before=before)


def _activity(active: bool, now_ms: int) -> dict[str, object]:
    return {
        "disabled_reason": None if active else DisabledReason.BY_HAND.value,
        "disabled_at": None if active else now_ms,
    }


def _start_anew(tx: Tx, hook: HookId) -> None:
    """Reset the failures of a hook that was enabled or moved, and mark its backlog due."""
    tx.conn.execute(
        update(HOOK_STATE)
        .where(HOOK_STATE.c.hook_id == hook)
        .values(
            failures_in_a_row=0,
            failing_since=None,
            failed_since_success=0,
            breaker=BreakerState.CLOSED.value,
            breaker_until=None,
        )
    )
    due_ms = next_due(tx.conn, hook)
    if due_ms is not None:
        tx.due(hook, due_ms)


def _seal(tx: Tx, hook: HookId, account: AccountId, settings: HookSettings) -> None:
    sealed = hook_rows.seal(settings, tx.vault, hook, account)
    tx.conn.execute(update(HOOK).where(HOOK.c.id == hook).values(sealed=sealed))


def _edit_of(before: HookSettings, after: HookSettings) -> HookEdit:
    if after.active is before.active:
        return HookEdit.CHANGED
    return HookEdit.ENABLED if after.active else HookEdit.DISABLED


def _announce(tx: Tx, account: AccountId, hook: HookId, edit: HookEdit) -> None:
    tx.feed(hook_item(account, hook, edit))
    tx.hook_changed(hook)
