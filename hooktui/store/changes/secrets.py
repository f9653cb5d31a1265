"""The secrets of a hook: reveal them, rotate with an overlap, end a rotation."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, update
from sqlmodel import select

from hooktui.domain.clock import optional_rfc3339, to_rfc3339
from hooktui.domain.errors import Conflict
from hooktui.domain.ids import AccountId, HookId
from hooktui.domain.roles import Actor
from hooktui.domain.wire.hooks import Secret, Secrets
from hooktui.store.feed_items import HookEdit
from hooktui.store.queries.hooks import hook_columns
from hooktui.store.sealed_values import bound_to_hook
from hooktui.store.tables import HOOK, SECRET, SecretRow
from hooktui.store.tx import Tx

_TABLE = "secret"
_KEPT_EXPIRED_MS = 30 * 24 * 3600 * 1000
"""How long an expired secret stays, to show which secret signed an old attempt."""


def reveal_secrets(tx: Tx, actor: Actor, account: AccountId | None, hook: HookId) -> Secrets:
    """Return a hook's live secrets, newest first; audited.

    Raises:
        NotFound: there is no such hook in the account (None: in any).
    """
    owner = _owner(tx, account, hook)
    tx.audit(actor, "secret.reveal", f"hook {hook}", account=owner)
    return _secrets(tx, owner, hook)


def rotate_secret(
    tx: Tx, actor: Actor, account: AccountId | None, hook: HookId, secret: str, overlap_s: float
) -> Secrets:
    """Give a hook a new secret; earlier ones stay valid for the overlap at most.

    Raises:
        NotFound: there is no such hook in the account (None: in any).
        Conflict: the hook already has this secret.
    """
    owner = _owner(tx, account, hook)
    if any(secret == _open(tx, owner, row) for row in _live(tx, hook)):
        raise Conflict(f"hook {hook} already has this secret; pass another one or none")
    until_ms = tx.now_ms + round(overlap_s * 1000)
    _expire(tx, hook, until_ms)
    _drop_long_expired(tx, hook)
    add_secret(tx, owner, hook, secret)
    tx.hook_edited(owner, hook, HookEdit.ROTATED)
    after = {"overlap_s": overlap_s}
    tx.audit(actor, "secret.rotate", f"hook {hook}", account=owner, after=after)
    return _secrets(tx, owner, hook)


def finish_rotation(tx: Tx, actor: Actor, account: AccountId | None, hook: HookId) -> Secrets:
    """End the overlap of a rotation now: only the newest secret stays.

    Raises:
        NotFound: there is no such hook in the account (None: in any).
        Conflict: no rotation is in progress.
    """
    owner = _owner(tx, account, hook)
    newest, *older = _live(tx, hook)
    if not older:
        raise Conflict(f"no rotation of hook {hook} is in progress: it has one live secret")
    _expire(tx, hook, tx.now_ms, but=newest.id)
    tx.hook_edited(owner, hook, HookEdit.ROTATED)
    tx.audit(actor, "secret.finish", f"hook {hook}", account=owner)
    return _secrets(tx, owner, hook)


def add_secret(tx: Tx, account: AccountId, hook: HookId, secret: str) -> None:
    """Store a secret, encrypted for its own row and hook."""
    with tx.session() as session:
        row = SecretRow(hook_id=hook, created_at=tx.now_ms)
        session.add(row)
        session.flush()  # assigns the id, to which the encryption is bound
        bound = bound_to_hook(account, hook)
        row.sealed = tx.vault.encrypt(secret, _TABLE, row.id, bound)


def forget_secrets(tx: Tx, hook: HookId) -> None:
    """Delete all secrets of a hook."""
    tx.conn.execute(delete(SECRET).where(SECRET.c.hook_id == hook))


def _expire(tx: Tx, hook: HookId, at_ms: int, but: int | None = None) -> None:
    later = SECRET.c.expires_at.is_(None) | (SECRET.c.expires_at > at_ms)
    of_hook = update(SECRET).where(SECRET.c.hook_id == hook, later)
    if but is not None:
        of_hook = of_hook.where(SECRET.c.id != but)
    tx.conn.execute(of_hook.values(expires_at=at_ms))


def _drop_long_expired(tx: Tx, hook: HookId) -> None:
    long_ago = SECRET.c.expires_at < tx.now_ms - _KEPT_EXPIRED_MS
    tx.conn.execute(delete(SECRET).where(SECRET.c.hook_id == hook, long_ago))


def _live(tx: Tx, hook: HookId) -> Sequence[SecretRow]:
    live = SECRET.c.expires_at.is_(None) | (SECRET.c.expires_at > tx.now_ms)
    with tx.session() as session:
        query = select(SecretRow).where(SecretRow.hook_id == hook, live)
        return session.exec(query.order_by(SECRET.c.id.desc())).all()


def _secrets(tx: Tx, account: AccountId, hook: HookId) -> Secrets:
    secrets = tuple(
        Secret(
            secret=_open(tx, account, row),
            created_at=to_rfc3339(row.created_at),
            expires_at=optional_rfc3339(row.expires_at),
            last_used_at=optional_rfc3339(row.last_used_at),
        )
        for row in _live(tx, hook)
    )
    return Secrets(secret=secrets[0].secret, secrets=secrets)


def _open(tx: Tx, account: AccountId, row: SecretRow) -> str:
    bound = bound_to_hook(account, row.hook_id)
    return tx.vault.decrypt(row.sealed or b"", _TABLE, row.id, bound)


def _owner(tx: Tx, account: AccountId | None, hook: HookId) -> AccountId:
    (owner,) = hook_columns(tx.conn, account, hook, HOOK.c.account_id)
    return AccountId(owner)
