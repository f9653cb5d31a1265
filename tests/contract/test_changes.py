"""What admins change: hooks with versions, secrets, resends, tokens, and the trail of it all."""

from __future__ import annotations

import asyncio
import hashlib

import pytest
from sqlalchemy import text

from hooktui import failpoints
from hooktui.domain.deliveries import DeliveryStatus
from hooktui.domain.errors import Conflict, NotFound, Refused
from hooktui.domain.hook_settings import Credentials
from hooktui.domain.ids import AccountId, HookId, decode
from hooktui.domain.roles import Role
from hooktui.domain.wire.access import AuditBreak
from hooktui.store import audit, changes, queries
from hooktui.store.queries.hooks import waiting_of
from hooktui.store.queries.pages import PageRequest
from hooktui.store.tx import Tx
from tests.support.stores import (
    ADA,
    BOB,
    DEFAULT,
    SECRET,
    URL,
    Heard,
    Opened,
    attempt,
    deliveries,
    emit,
    make_hook,
    offer,
    result_of,
    settings,
    the_delivery,
    the_hook,
)

OTHER = AccountId(99)


async def change(store, hook, version=None, actor=ADA, **changed):
    edit = settings(**changed)
    return await store.write(
        changes.change_hook, actor, DEFAULT, HookId(hook.id), lambda _: edit, version
    )


async def test_a_hook_is_shown_as_it_was_set(opened: Opened) -> None:
    hook = await make_hook(
        opened.store,
        events=("job", "cluster.error"),
        name="Łódź ✓",
        signature_hash="sha512",
        verify_tls=False,
        timeout_s=10,
        retry_schedule_s=(1, 2.5),
        rate_per_s=5,
        max_in_flight=3,
        ordered=True,
        filter="event:job.*",
        basic_auth=Credentials("me", "pw"),
    )
    assert await the_hook(opened.store, hook) == hook
    assert (hook.id, hook.account, hook.name, hook.url) == (1, 1, "Łódź ✓", URL)
    assert hook.events == ("job", "cluster.error")
    assert (hook.signature_hash, hook.verify_tls, hook.timeout_s) == ("sha512", False, 10)
    assert (hook.retry_schedule_s, hook.rate_per_s, hook.max_in_flight) == ((1, 2.5), 5, 3)
    assert (hook.ordered, hook.filter, hook.version) == (True, "event:job.*", 1)
    assert hook.basic_auth is not None
    assert hook.basic_auth.user == "me"
    assert (hook.active, hook.disabled_reason) == (True, None)


@pytest.mark.parametrize(("limit", "cap"), [(None, None), (None, 50), (20, None)])
async def test_the_limit_of_attempts_at_once_is_auto_or_a_number(
    opened: Opened, limit: int | None, cap: int | None
) -> None:
    # Red when a store reads the 0 that stands for auto as a number.
    fields = {"max_in_flight": limit, "max_in_flight_cap": cap}
    hook = await make_hook(opened.store, **fields)
    store = await opened.again()
    read = await the_hook(store, hook)
    live = store.hooks()[HookId(hook.id)].settings
    for one in (hook, read, live):
        assert (one.max_in_flight, one.max_in_flight_cap) == (limit, cap)


async def test_an_edit_gets_what_is_write_only_and_keeps_what_it_leaves(opened: Opened) -> None:
    store = opened.store
    hook = await make_hook(
        store, headers={"X-Token": "abc"}, sensitive_headers=("X-Token",),
        basic_auth=Credentials("me", "pw"),
    )  # fmt: skip
    seen = []

    def rename(before):
        seen.append(before)
        return settings(
            name="new", headers=before.headers, sensitive_headers=("X-Token",),
            basic_auth=before.basic_auth,
        )  # fmt: skip

    changed = await store.write(changes.change_hook, BOB, DEFAULT, HookId(hook.id), rename, None)
    assert (changed.name, changed.version) == ("new", 2)
    assert seen[0].headers == {"X-Token": "abc"}
    assert store.hooks()[hook.id].settings.basic_auth == Credentials("me", "pw")


async def test_a_stale_version_is_refused_with_who_changed_it_and_when(opened: Opened) -> None:
    store = opened.store
    hook = await make_hook(store)
    opened.clock.advance(60)
    await change(store, hook, version=1, actor=BOB, name="bob's")
    with pytest.raises(Conflict, match=r"version 2, you read 1: bob .*2027-01-15T08:01:00\.000Z"):
        await change(store, hook, version=1, name="ada's")
    assert (await the_hook(store, hook)).name == "bob's"
    assert (await change(store, hook, version=2, name="ada's")).version == 3


async def test_an_edit_that_changes_nothing_is_no_new_version(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    heard = Heard(opened.store)
    assert (await change(opened.store, hook)).version == 1
    assert heard.signals == []


async def test_a_change_that_fails_leaves_no_trace_and_spoils_no_other(opened: Opened) -> None:
    store = opened.store
    hook = await make_hook(store)
    heard = Heard(store)
    end = store.feed_end()

    def refuse(_):
        raise Refused("no")

    def fail_late(tx):
        changes.change_hook(tx, ADA, DEFAULT, HookId(hook.id), lambda _: settings(name="lost"))
        raise Refused("too late")

    refused, late, made = await asyncio.gather(
        store.write(changes.change_hook, ADA, DEFAULT, HookId(hook.id), refuse),
        store.write(fail_late),
        make_hook(store, name="beside it"),
        return_exceptions=True,
    )
    assert isinstance(refused, Refused)
    assert isinstance(late, Refused)
    assert (await the_hook(store, hook)).name == "a hook"
    assert heard.changed == {made.id}
    assert [item.object.id for item in (await store.feed(end, 10)).items] == [made.id]


async def test_disabling_and_enabling_by_hand_is_shown(opened: Opened) -> None:
    store = opened.store
    hook = await make_hook(store)
    off = await change(store, hook, active=False)
    assert (off.active, off.disabled_reason) == (False, "disabled by hand")
    assert off.disabled_at == "2027-01-15T08:00:00.000Z"
    assert not store.hooks()[hook.id].active
    on = await change(store, hook, active=True)
    assert (on.active, on.disabled_reason, on.disabled_at) == (True, None, None)


async def test_deleting_a_hook_cancels_what_waits_and_forgets_its_secrets(opened: Opened) -> None:
    store = opened.store
    hook = await make_hook(store, basic_auth=Credentials("me", "pw"))
    await emit(store, 1500)
    end = store.feed_end()
    await store.write(changes.delete_hook, ADA, DEFAULT, HookId(hook.id))
    assert hook.id not in store.hooks()
    with pytest.raises(NotFound):
        await the_hook(store, hook)
    while any(one.status == "pending" for one in await deliveries(store, status="pending")):
        await store.write(lambda tx: None)  # one more transaction: the rest is cancelled in steps
    assert len(await deliveries(store, status="cancelled")) == 500  # a whole page
    assert {one.reason for one in await deliveries(store, status="cancelled")} == {"hook deleted"}
    page = await store.feed(end, 5000)
    assert sum(item.kind == "delivery" for item in page.items) == 1500
    gone = [item.object for item in page.items if item.kind == "hook"]
    assert gone == [{"id": hook.id, "account": 1, "deleted": True}]
    left = await store.read(lambda conn: conn.execute(text("SELECT count(*) FROM secret")).scalar())
    sealed = await store.read(lambda conn: conn.execute(text("SELECT sealed FROM hook")).scalar())
    assert (left, sealed) == (0, None)


async def test_a_hook_of_another_account_is_not_found(opened: Opened) -> None:
    store = opened.store
    hook = HookId((await make_hook(store)).id)
    await emit(store)
    delivery = decode("dlv", (await the_delivery(store)).id)
    for call in (
        (changes.change_hook, ADA, OTHER, hook, lambda _: settings(), None),
        (changes.delete_hook, ADA, OTHER, hook),
        (changes.reveal_secrets, ADA, OTHER, hook),
        (changes.rotate_secret, ADA, OTHER, hook, "x" * 20, 0.0),
        (changes.finish_rotation, ADA, OTHER, hook),
        (changes.resend, ADA, OTHER, delivery),
        (changes.cancel, ADA, OTHER, delivery),
        (changes.create_hook, ADA, OTHER, settings(), SECRET),
    ):
        with pytest.raises(NotFound):
            await store.write(*call)
    for query, identity in ((queries.get_hook, hook), (queries.get_delivery, delivery)):
        with pytest.raises(NotFound):
            await store.read(query, OTHER, identity)


async def test_a_rotation_keeps_the_old_secret_for_its_overlap(opened: Opened) -> None:
    store, clock = opened.store, opened.clock
    hook = HookId((await make_hook(store)).id)
    rotated = await store.write(changes.rotate_secret, ADA, DEFAULT, hook, "n" * 20, 3600)
    assert [one.secret for one in rotated.secrets] == ["n" * 20, SECRET]
    assert rotated.secret == "n" * 20
    assert [one.expires_at for one in rotated.secrets] == [None, "2027-01-15T09:00:00.000Z"]
    live = store.hooks()[hook]
    assert [one.value for one in live.secrets_at(clock.ms)] == ["n" * 20, SECRET]
    clock.advance(3601)
    assert [one.value for one in live.secrets_at(clock.ms)] == ["n" * 20]
    after = await store.write(changes.reveal_secrets, ADA, DEFAULT, hook)
    assert [one.secret for one in after.secrets] == ["n" * 20]


async def test_an_overlap_of_nothing_ends_the_old_secret_at_once(opened: Opened) -> None:
    hook = HookId((await make_hook(opened.store)).id)
    await opened.store.write(changes.rotate_secret, ADA, DEFAULT, hook, "n" * 20, 0)
    assert [one.value for one in opened.store.hooks()[hook].secrets] == ["n" * 20]


async def test_a_rotation_can_be_finished_early_and_only_once(opened: Opened) -> None:
    store = opened.store
    hook = HookId((await make_hook(store)).id)
    await store.write(changes.rotate_secret, ADA, DEFAULT, hook, "n" * 20, 3600)
    finished = await store.write(changes.finish_rotation, ADA, DEFAULT, hook)
    assert [one.secret for one in finished.secrets] == ["n" * 20]
    assert [one.value for one in store.hooks()[hook].secrets] == ["n" * 20]
    with pytest.raises(Conflict, match="no rotation"):
        await store.write(changes.finish_rotation, ADA, DEFAULT, hook)


async def test_a_rotation_to_the_same_secret_is_refused(opened: Opened) -> None:
    hook = HookId((await make_hook(opened.store)).id)
    with pytest.raises(Conflict, match="already"):
        await opened.store.write(changes.rotate_secret, ADA, DEFAULT, hook, SECRET, 60)


async def test_when_a_secret_last_signed_is_kept(opened: Opened) -> None:
    store, clock = opened.store, opened.clock
    hook = await make_hook(store)
    (secret,) = store.hooks()[hook.id].secrets
    await emit(store)
    (claim,) = await store.claim(HookId(hook.id), 1)
    await store.record([result_of(claim, clock, took_ms=0, secret_ids=(secret.id,))])
    shown = await store.write(changes.reveal_secrets, ADA, DEFAULT, HookId(hook.id))
    assert shown.secrets[0].last_used_at == "2027-01-15T08:00:00.000Z"


# Red when the server notes the use before the commit: the repeated transaction writes nothing.
async def test_when_a_secret_last_signed_is_kept_after_a_rollback(
    opened: Opened, disarmed: None
) -> None:
    store = opened.store
    hook = await make_hook(store)
    (secret,) = store.hooks()[hook.id].secrets
    await emit(store)
    (claim,) = await store.claim(HookId(hook.id), 1)
    result = result_of(claim, opened.clock, took_ms=0, secret_ids=(secret.id,))
    failpoints.arm("before_record_commit:error")
    with pytest.raises(Exception, match=r"before_record_commit|failed"):
        await store.record([result])
    assert await store.record([result]) == [True]
    shown = await store.write(changes.reveal_secrets, ADA, DEFAULT, HookId(hook.id))
    assert shown.secrets[0].last_used_at == "2027-01-15T08:00:00.000Z"


async def test_a_final_delivery_is_sent_again_as_a_new_one(opened: Opened) -> None:
    store = opened.store
    hook = await make_hook(store)
    (accepted,) = await emit(store)
    await attempt(store, opened.clock, hook)
    first = await the_delivery(store)
    again, is_new = await store.write(changes.resend, ADA, DEFAULT, decode("dlv", first.id))
    assert is_new
    assert (again.event, again.trigger, again.status) == (first.event, "resend", "pending")
    assert again.id != first.id
    (claim,) = await store.claim(HookId(hook.id), 10)
    assert (claim.event, claim.number) == (accepted.id, 1)
    detail = await store.read(queries.get_event, DEFAULT, accepted.id)
    assert [one.id for one in detail.deliveries] == [first.id, again.id]


async def test_a_waiting_delivery_sent_again_is_due_now(opened: Opened) -> None:
    store = opened.store
    hook = await make_hook(store)
    await emit(store)
    await attempt(store, opened.clock, hook, 500)
    delivery = await the_delivery(store)
    heard = Heard(store)
    same, is_new = await store.write(changes.resend, ADA, DEFAULT, decode("dlv", delivery.id))
    assert (same.id, is_new) == (delivery.id, False)
    assert heard.due == {hook.id: opened.clock.ms}
    assert len(await store.claim(HookId(hook.id), 10)) == 1


async def test_what_is_being_sent_is_neither_sent_again_nor_cancelled(opened: Opened) -> None:
    store = opened.store
    hook = await make_hook(store)
    await emit(store)
    (claim,) = await store.claim(HookId(hook.id), 1)
    for act in (changes.resend, changes.cancel):
        with pytest.raises(Conflict, match="being sent"):
            await store.write(act, ADA, DEFAULT, claim.delivery)


async def test_a_purged_body_or_a_deleted_hook_cannot_be_sent_again(opened: Opened) -> None:
    store = opened.store
    hook = await make_hook(store)
    await emit(store)
    await attempt(store, opened.clock, hook)
    delivery = decode("dlv", (await the_delivery(store)).id)
    await store.write(lambda tx: tx.conn.execute(text("UPDATE event SET body = NULL")) and None)
    with pytest.raises(Conflict, match="purged"):
        await store.write(changes.resend, ADA, DEFAULT, delivery)
    assert (await store.read(queries.get_delivery, DEFAULT, delivery)).body is None
    await store.write(changes.delete_hook, ADA, DEFAULT, HookId(hook.id))
    with pytest.raises(Conflict, match="deleted"):
        await store.write(changes.resend, ADA, DEFAULT, delivery)


async def test_a_cancelled_delivery_is_never_claimed(opened: Opened) -> None:
    store = opened.store
    hook = await make_hook(store)
    await emit(store)
    delivery = decode("dlv", (await the_delivery(store)).id)
    cancelled = await store.write(changes.cancel, BOB, DEFAULT, delivery)
    assert (cancelled.status, cancelled.reason) == (DeliveryStatus.CANCELLED, "cancelled by bob")
    assert await store.claim(HookId(hook.id), 10) == []
    assert (await the_hook(store, hook)).stats.waiting == 0
    with pytest.raises(Conflict, match="nothing to cancel"):
        await store.write(changes.cancel, BOB, DEFAULT, delivery)


async def test_cancelling_the_first_in_line_frees_an_ordered_hook(opened: Opened) -> None:
    store = opened.store
    hook = await make_hook(store, ordered=True)
    await emit(store, body=b"1")
    await emit(store, body=b"2")
    first, _ = await deliveries(store)
    await store.write(changes.cancel, ADA, DEFAULT, decode("dlv", first.id))
    (claim,) = await store.claim(HookId(hook.id), 1)
    assert claim.body == b"2"


async def test_accounts_have_names_of_their_own(opened: Opened) -> None:
    store = opened.store
    account = await store.write(changes.create_account, ADA, "second")
    assert await store.read(queries.get_account, AccountId(account.id)) == account
    page = await store.read(queries.list_accounts, PageRequest(sort="id"))
    assert [(one.id, one.name) for one in page.data] == [(1, "default"), (2, "second")]
    with pytest.raises(Conflict, match="second"):
        await store.write(changes.create_account, ADA, "second")


# Red when what a disabled hook holds counts as waiting, or a deleted hook as one.
async def test_accounts_tell_how_many_hooks_they_have_and_what_waits(opened: Opened) -> None:
    store = opened.store
    other = await store.write(changes.create_account, ADA, "other")
    busy, off, gone = [await make_hook(store) for _ in range(3)]
    await emit(store, 2)
    await change(store, off, active=False)
    await store.write(changes.delete_hook, ADA, DEFAULT, HookId(gone.id))
    found = (await store.read(queries.list_accounts, PageRequest(limit=10, sort="id"))).data
    assert [(one.id, one.hooks, one.waiting) for one in found] == [(1, 2, 2), (other.id, 0, 0)]
    assert await store.read(queries.get_account, DEFAULT) == found[0]
    assert (await the_hook(store, busy)).stats.waiting == 2


async def test_a_token_is_known_by_its_hash_until_it_is_revoked(opened: Opened) -> None:
    store = opened.store
    token = await store.write(changes.create_token, ADA, "ci", Role.PRODUCER, DEFAULT, None)
    assert token.token is not None
    kind, identity, random = token.token.split("_")
    assert (kind, int(identity), len(random)) == ("hkt", token.id, 32)
    hashed = hashlib.sha256(token.token.encode()).digest()
    found = await store.read(queries.token_by_hash, token.id, hashed)
    assert (found.name, found.role, found.account) == ("ci", Role.PRODUCER, 1)
    assert await store.read(queries.token_by_hash, token.id, hashed[::-1]) is None
    await store.write(changes.touch_token, token.id)
    (listed,) = (await store.read(queries.list_tokens, None, PageRequest())).data
    assert (listed.token, listed.last_used_at) == (None, "2027-01-15T08:00:00.000Z")
    with pytest.raises(NotFound):
        await store.write(changes.revoke_token, ADA, OTHER, token.id)
    await store.write(changes.revoke_token, ADA, None, token.id)
    assert await store.read(queries.token_by_hash, token.id, hashed) is None


async def test_every_act_is_in_the_audit_trail_without_secrets(opened: Opened) -> None:
    store = opened.store
    hook = await make_hook(
        store, headers={"Authorization": "Bearer hidden-value"},
        sensitive_headers=("Authorization",), basic_auth=Credentials("me", "hidden-word"),
    )  # fmt: skip
    await change(store, hook, actor=BOB, active=False)
    await store.write(changes.reveal_secrets, ADA, DEFAULT, HookId(hook.id))
    await store.write(changes.rotate_secret, ADA, DEFAULT, HookId(hook.id), "hidden-secret-x", 60)
    await store.write(Tx.audit, BOB, "POST refused", "/v1/tokens", result="refused")
    rows = await store.read(lambda conn: conn.execute(text("SELECT * FROM audit")).mappings().all())
    acts = [(row["user"], row["action"], row["result"]) for row in rows]
    assert acts == [
        ("ada", "hook.create", "done"),
        ("bob", "hook.change", "done"),
        ("ada", "secret.reveal", "done"),
        ("ada", "secret.rotate", "done"),
        ("bob", "POST refused", "refused"),
    ]
    assert '"active":false' in rows[1]["after"]
    assert "hidden" not in repr(rows)
    assert (await store.read(audit.check_chain, store.vault)).broken is None


async def test_the_audit_trail_masks_what_was_or_becomes_sensitive(opened: Opened) -> None:
    # Red without the union of the marks before and after: one of the two values is in an entry.
    store = opened.store
    hook = await make_hook(store, headers={"X-Code": "hidden-1"}, sensitive_headers=("X-Code",))
    await change(store, hook, headers={"x-code": "hidden-2"}, sensitive_headers=())
    await change(store, hook, headers={"X-CODE": "hidden-3"}, sensitive_headers=("X-CODE",))
    rows = await store.read(lambda conn: conn.execute(text("SELECT * FROM audit")).mappings().all())
    assert [row["action"] for row in rows] == ["hook.create", "hook.change", "hook.change"]
    assert "hidden" not in repr(rows)


async def test_the_audit_trail_refuses_changes_and_shows_them(opened: Opened) -> None:
    store = opened.store
    await make_hook(store)
    await make_hook(store)
    for statement in ("UPDATE audit SET target = 'eve'", "DELETE FROM audit"):
        with pytest.raises(Exception, match="append-only"):
            await store.write(lambda tx, s=statement: tx.conn.execute(text(s)) and None)

    def forge(tx):
        trigger = {"sqlite": "audit_refuses_update", "postgresql": "audit_refuses ON audit"}
        tx.conn.execute(text(f"DROP TRIGGER {trigger[tx.conn.dialect.name]}"))
        tx.conn.execute(text("UPDATE audit SET \"user\" = 'eve' WHERE id = 2"))

    await store.write(forge)
    broken = (await store.read(audit.check_chain, store.vault)).broken
    assert broken == AuditBreak(2, "it was changed: its hash does not match its content")


async def test_the_backlog_counts_what_waits_and_what_is_held(opened: Opened) -> None:
    store, clock = opened.store, opened.clock
    busy, off = await make_hook(store), await make_hook(store)
    await emit(store, 3)
    clock.advance(10)
    await change(store, off, active=False)
    backlog = await store.read(queries.backlog, DEFAULT, clock.ms)
    assert (backlog.count, backlog.held) == (3, 3)
    assert backlog.oldest_due_at == "2027-01-15T08:00:00.000Z"
    assert [(one.hook, one.count) for one in backlog.hooks] == [(busy.id, 3)]
    assert await store.read(waiting_of, HookId(busy.id)) == 3
    assert (await store.read(queries.backlog, OTHER, clock.ms)).count == 0


async def test_an_offer_and_a_deletion_at_one_moment_leave_nothing_waiting(opened: Opened) -> None:
    store = opened.store
    hook = await make_hook(store)
    await asyncio.gather(
        store.write(changes.delete_hook, ADA, DEFAULT, HookId(hook.id)),
        store.accept([offer()]),
    )
    assert {one.status for one in await deliveries(store)} <= {"cancelled"}
