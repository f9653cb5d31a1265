"""Creating, changing and deleting hooks."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import select, update
from sqlmodel import Session

from hooktui.domain.alerts import Resolution
from hooktui.domain.clock import to_rfc3339
from hooktui.domain.deliveries import DisabledReason
from hooktui.domain.errors import Conflict
from hooktui.domain.hook_failures import BreakerState
from hooktui.domain.hook_settings import HookSettings
from hooktui.domain.ids import AccountId, HookId
from hooktui.domain.live_hook import LiveHook
from hooktui.domain.roles import Actor
from hooktui.domain.wire.hooks import Hook
from hooktui.store import hook_rows
from hooktui.store.audit import SERVER
from hooktui.store.changes.alerts import hook_was_deleted, hook_was_edited
from hooktui.store.changes.deliveries import cancel_waiting
from hooktui.store.changes.replays import end_aside_of
from hooktui.store.changes.secrets import add_secret, forget_secrets
from hooktui.store.feed_items import HookEdit
from hooktui.store.queries.access import account_row
from hooktui.store.queries.hooks import get_hook, is_hook, next_due, no_hook
from hooktui.store.tables import HOOK, HOOK_STATE, HookRow, HookStateRow
from hooktui.store.tx import Tx


def create_hook(
    tx: Tx, actor: Actor, account: AccountId, settings: HookSettings, secret: str
) -> Hook:
    """Create a hook with its first secret; the settings are already checked.

    Raises:
        NotFound: there is no such account.
    """
    account_row(tx.conn, account)
    with tx.session() as session:
        row = HookRow(
            **hook_rows.columns_of(settings),
            account_id=account,
            created_at=tx.now_ms,
            updated_at=tx.now_ms,
            updated_by=actor.user,
            version=1,
        )
        _set_disabled(row, tx.now_ms)
        session.add(row)
        session.flush()  # assigns the id, to which the encryption is bound
        hook = row.id
        row.sealed = hook_rows.encrypt(settings, tx.vault, hook, account)
        session.add(HookStateRow(hook_id=hook))
    add_secret(tx, account, hook, secret)
    tx.hook_edited(account, hook, HookEdit.CREATED)
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
    with tx.session() as session:
        row = _find(session, account, hook)
        if version is not None and version != row.version:
            raise Conflict(
                f"hook {hook} is at version {row.version}, you read {version}: {row.updated_by} "
                f"changed it at {to_rfc3339(row.updated_at)}; read it again and repeat your change"
            )
        before = hook_rows.settings_of(hook_rows.StoredSettings.of(row), tx.vault)
        after = edit(before)
        if after == before:
            return get_hook(tx.conn, account, hook)
        owner = row.account_id
        row.sqlmodel_update(hook_rows.columns_of(after))
        row.sealed = hook_rows.encrypt(after, tx.vault, hook, owner)
        if after.active != before.active:
            _set_disabled(row, tx.now_ms)
        _note_change(tx, row, actor)
    if after.active and (not before.active or after.url != before.url):
        _reset_failures(tx, hook)
    resolution = _resolution_of(before, after)
    if resolution is not None:
        hook_was_edited(tx, hook, actor, resolution)
    tx.hook_edited(owner, hook, _edit_of(before, after))
    was, now = hook_rows.difference(hook_rows.shown(before, after), hook_rows.shown(after, before))
    tx.audit(actor, "hook.change", f"hook {hook}", account=owner, before=was, after=now)
    return get_hook(tx.conn, account, hook)


def disable_hook(tx: Tx, hook: LiveHook, reason: DisabledReason, at_ms: int) -> bool:
    """Disable a hook as of a time by a rule of the server; return whether it was active."""
    disabled = tx.conn.execute(
        update(HOOK)
        .where(HOOK.c.id == hook.id, HOOK.c.active, HOOK.c.deleted_at.is_(None))
        .values(
            active=False,
            disabled_reason=reason.value,
            disabled_at=at_ms,
            updated_at=at_ms,
            updated_by=SERVER.user,
            version=HOOK.c.version + 1,
        )
    )
    if disabled.rowcount != 1:
        return False
    tx.audit(
        SERVER, "hook.change", f"hook {hook.id}", account=hook.account, before={"active": True},
        after={"active": False, "disabled_reason": reason.value},
    )  # fmt: skip
    return True


def delete_hook(tx: Tx, actor: Actor, account: AccountId | None, hook: HookId) -> None:
    """Delete a hook and its secrets, cancel its open deliveries, and keep its history.

    Raises:
        NotFound: there is no such hook in the account (None: in any).
    """
    with tx.session() as session:
        row = _find(session, account, hook)
        owner = row.account_id
        before = hook_rows.shown(hook_rows.readable_settings(hook_rows.StoredSettings.of(row)))
        row.deleted_at = tx.now_ms
        row.active = False
        row.sealed = None
        _note_change(tx, row, actor)
    forget_secrets(tx, hook)
    cancel_waiting(tx, hook)
    end_aside_of(tx, owner, hook)
    hook_was_deleted(tx, hook, actor)
    tx.hook_edited(owner, hook, HookEdit.DELETED)
    tx.audit(actor, "hook.delete", f"hook {hook}", account=owner, before=before)


def _find(session: Session, account: AccountId | None, hook: HookId) -> HookRow:
    row = session.scalars(select(HookRow).where(is_hook(account, hook))).first()
    if row is None:
        raise no_hook(hook)
    return row


def _set_disabled(row: HookRow, now_ms: int) -> None:
    """Set since when and why a hook is disabled, if it is."""
    row.disabled_reason = None if row.active else DisabledReason.BY_HAND.value
    row.disabled_at = None if row.active else now_ms


def _note_change(tx: Tx, row: HookRow, actor: Actor) -> None:
    row.updated_at = tx.now_ms
    row.updated_by = actor.user
    row.version += 1


def _reset_failures(tx: Tx, hook: HookId) -> None:
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


def _edit_of(before: HookSettings, after: HookSettings) -> HookEdit:
    if after.active is before.active:
        return HookEdit.CHANGED
    return HookEdit.ENABLED if after.active else HookEdit.DISABLED


def _resolution_of(before: HookSettings, after: HookSettings) -> Resolution | None:
    """Return how an edit ends the alerts of a hook; None: it does not."""
    if after.active is not before.active:
        return Resolution.ENABLED if after.active else Resolution.DISABLED
    return Resolution.CHANGED if after.url != before.url else None
