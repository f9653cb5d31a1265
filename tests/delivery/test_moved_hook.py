"""A hook whose URL was changed in the database: its credentials stay here, and people see why."""

from __future__ import annotations

from sqlalchemy import text

from hooktui.domain.hook_settings import Credentials
from hooktui.domain.ids import decode
from hooktui.store.queries import get_delivery
from tests.delivery.receivers import Receivers
from tests.delivery.running_engine import OK, RunningEngine, forever, url_of
from tests.support.waiting import until


async def test_credentials_do_not_follow_a_url_that_was_changed_in_the_database(
    running: RunningEngine, receivers: Receivers
) -> None:
    # Red when the sender does not look at `LiveHook.refusal`.
    mine: list[bytes] = []
    theirs: list[bytes] = []
    url = url_of(await receivers.behaving(forever(OK, mine)))
    elsewhere = url_of(await receivers.behaving(forever(OK, theirs)))
    auth = Credentials("ada", "canary-password")
    hook = await running.patient_hook(url, basic_auth=auth)

    def tamper(tx) -> None:
        tx.conn.execute(text("UPDATE hook SET url = :url"), {"url": elsewhere})
        tx.hook_changed(hook)  # as a start would: the row is read again

    await running.store.write(tamper)
    await running.emit()

    async def tried():
        return await running.deliveries(status="pending", attempts=1)

    (delivery,) = await until(tried)
    record = await running.store.read(get_delivery, 1, decode("dlv", delivery.id))
    (attempt,) = record.attempts
    assert (attempt.error, attempt.outcome) == ("address_refused", "failed")
    assert f"hook {hook} holds an encrypted value that was changed or moved" in repr(record)
    assert (mine, theirs) == ([], [])
    assert "canary" not in repr(record)
