"""Resend and cancel commands, shared by all screens that show deliveries.

They act on the marked deliveries, on the one under the cursor, or on all that match a filter.
Resending all matches is a replay, so that it has a plan, a rate and an end.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Hashable, Mapping, Sequence
from time import monotonic
from typing import Final

from hooktui.client import calls
from hooktui.console.deliveries.delivery_rows import DeliveryRows, Matching
from hooktui.console.deliveries.text import next_step
from hooktui.console.frame.bulk import BulkRunner
from hooktui.console.frame.dialogs import confirmed
from hooktui.console.frame.parts import Handler, ScreenPart
from hooktui.console.frame.screen import ConsoleScreen
from hooktui.console.shell.contract import Shell
from hooktui.domain.clock import to_rfc3339
from hooktui.domain.deliveries import DeliveryStatus, Trigger
from hooktui.domain.text import counted
from hooktui.domain.wire.deliveries import Delivery, DeliveryDetail
from hooktui.domain.wire.replays import ReplaySelection

_DAY_MS: Final = 24 * 3600 * 1000
_RESENT_S: Final = 2.0
"""A delivery is not resent again so soon: a key that is held down, or is pressed again because the
line is slow, would send one duplicate after the other."""


class DeliveryActions(ScreenPart):
    """Resend and cancel commands for the selected deliveries of a screen.

    ``missing`` returns why none is selected; ``resent`` is called with the deliveries that the
    resend calls returned; ``rows`` are those of the list, if there is one.
    """

    def __init__(
        self,
        screen: ConsoleScreen,
        selected: Callable[[], Sequence[Delivery | DeliveryDetail]],
        bulk: BulkRunner,
        *,
        missing: Callable[[], str] = lambda: "there is no delivery under the cursor",
        resent: Callable[[Sequence[Delivery]], None] = lambda _: None,
        rows: DeliveryRows | None = None,
    ) -> None:
        self._screen, self._selected, self._bulk = screen, selected, bulk
        self._missing, self._on_resent, self._rows = missing, resent, rows
        self._last_resent, self._resent_s = "", 0.0
        screen.subjects.update(resend=self._ids, cancel=self._ids)

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """The handlers of resend and cancel."""
        return {"resend": self.resend, "cancel": self.cancel}

    def disabled_reason(self, name: str) -> str | None:
        """Return why none of the deliveries can be resent or cancelled, or None."""
        if name not in ("resend", "cancel"):
            return None
        matching = self._all
        if matching is not None:
            if name == "resend" or matching.query:
                return None
            return "this would cancel all waiting deliveries; filter the list first"
        selected = self._selected()
        if not selected:
            return self._missing()
        statuses = {delivery.status for delivery in selected}
        if name == "resend":
            sending = "an attempt is in progress; wait for its result"
            return sending if statuses == {DeliveryStatus.SENDING} else None
        if DeliveryStatus.PENDING in statuses:
            return None
        return f"only a waiting delivery can be cancelled; this one is {selected[0].status}"

    @property
    def _all(self) -> Matching | None:
        return None if self._rows is None else self._rows.all_matching

    def _ids(self) -> Hashable:
        return self._all or tuple(delivery.id for delivery in self._selected())

    def resend(self) -> Coroutine[None, None, None] | None:
        """Resend each delivery: a finished one as a new delivery, a pending one immediately.

        If all matches of a filter are selected, open the form of a replay instead.
        """
        rows = self._rows
        if rows is not None and rows.all_matching is not None:
            self._plan_replay(rows, rows.all_matching)
            return None
        return self._resend(
            [delivery for delivery in self._selected() if delivery.status != DeliveryStatus.SENDING]
        )

    def _plan_replay(self, rows: DeliveryRows, matching: Matching) -> None:
        shell = self._screen.shell
        selection = ReplaySelection(
            hooks="all" if rows.hook is None else (rows.hook,),
            mode="sent",
            since=_oldest(shell),
            until=matching.until,
            filter=matching.query or None,
        )
        shell.navigation.open_replay_form(selection, rows.clear)

    async def _resend(self, selected: Sequence[Delivery | DeliveryDetail]) -> None:
        if len(selected) > 1 and not await self._confirmed(selected):
            return
        if len(selected) == 1 and self._was_resent(selected[0].id):
            self._screen.notice(f"{selected[0].id} was sent again just now", "warn")
            return
        outcome = await self._bulk.run(
            selected,
            lambda delivery: calls.resend_delivery(delivery.id),
            lambda delivery: f"sending {delivery.id} again",
            "delivery",
            "sent again",
        )
        sent = [delivery for _, delivery in outcome.done]
        words = _resent_words(selected, sent, self._screen.shell)
        words = outcome.message(words, lambda delivery: delivery.id)
        self._screen.notice(words, outcome.severity)
        if self._rows is not None:
            self._rows.unmark(delivery for delivery, _ in outcome.done)
        if sent:
            self._last_resent, self._resent_s = selected[-1].id, monotonic()
            self._on_resent(sent)

    def _was_resent(self, delivery: str) -> bool:
        return delivery == self._last_resent and monotonic() - self._resent_s < _RESENT_S

    async def _confirmed(self, selected: Sequence[Delivery | DeliveryDetail]) -> bool:
        """Ask before resending more than one delivery: a receiver cannot undo a duplicate."""
        what = counted(len(selected), "delivery")
        delivered = sum(delivery.status == DeliveryStatus.DELIVERED for delivery in selected)
        details = "None of them had been delivered when the list last showed them."
        if delivered:
            has = "have" if delivered > 1 else "has"
            count = "All" if delivered == len(selected) else f"{delivered:,}"
            details = f"{count} of them {has} already been delivered and will be sent once more."
        replaced = sum(map(_is_replaced, selected))
        if replaced:
            count = "All" if replaced == len(selected) else f"{replaced:,}"
            were = "were" if replaced > 1 else "was"
            details += (
                f" {count} of them {were} given up or sent again before: the receiver may have"
                " these events already."
            )
        unseen = 0
        if self._rows is not None:
            ids = [delivery.id for delivery in selected]
            unseen = self._rows.listing.window.count_missing(ids)
        if unseen:
            count = "All" if unseen == len(selected) else f"{unseen:,}"
            details += (
                f" {count} of them are not among the loaded rows any more: these may have been"
                " delivered since, and would be sent twice."
            )
        return await confirmed(self._screen, f"Resend {what}", details, "nothing was resent")

    def cancel(self) -> Coroutine[None, None, None]:
        """Cancel the pending ones of the selected deliveries."""
        if self._all is not None:
            return self._cancel_matching(self._all)
        return self._cancel(
            [delivery for delivery in self._selected() if delivery.status == DeliveryStatus.PENDING]
        )

    async def _cancel(self, selected: Sequence[Delivery | DeliveryDetail]) -> None:
        if len(selected) > 1:
            what = counted(len(selected), "delivery")
            if not await self._confirmed_cancel(what):
                return
        outcome = await self._bulk.run(
            selected,
            lambda delivery: calls.cancel_delivery(delivery.id),
            lambda delivery: f"cancelling {delivery.id}",
            "delivery",
            "cancelled",
        )
        done = [delivery for delivery, _ in outcome.done]
        what = done[0].id if len(done) == 1 else counted(len(done), "delivery")
        again = "it" if len(done) == 1 else "one"
        sends = f"; {self._screen.shell.key('resend')} sends {again} again" if done else ""
        words = outcome.message(f"{what} cancelled", lambda delivery: delivery.id)
        self._screen.notice(words + sends, outcome.severity)
        if self._rows is not None:
            self._rows.unmark(done)

    async def _cancel_matching(self, matching: Matching) -> None:
        if not await self._confirmed_cancel(f"the waiting ones of {matching.words}"):
            return
        account = self._screen.shell.account.number
        cancelled = sending = 0
        after: str | None = None
        while True:
            call = calls.cancel_many(matching.query, matching.until, after, account=account)
            doing = f"cancelling deliveries, {cancelled:,} so far"
            done = await self._screen.call(call, doing)
            if done is None:
                return
            cancelled, sending = cancelled + done.cancelled, sending + done.sending
            after = done.next
            if after is None:
                break
        words = f"{counted(cancelled, 'delivery')} cancelled"
        if sending:
            words += f"; {counted(sending, 'delivery')} not cancelled: an attempt is in progress"
        self._screen.notice(words, "good")
        if self._rows is not None:
            self._rows.clear()

    async def _confirmed_cancel(self, what: str) -> bool:
        """Ask before cancelling more than one delivery; return whether to do so."""
        details = "Cancelled deliveries are not sent; each can be sent again later."
        return await confirmed(
            self._screen, f"Cancel {what}", details, "nothing was cancelled", no="Back"
        )


def _is_replaced(delivery: Delivery | DeliveryDetail) -> bool:
    """Return whether a failed delivery was given up, or its event has a newer delivery."""
    is_event = delivery.trigger != Trigger.PING  # a ping never has a cause
    return delivery.status == DeliveryStatus.FAILED and delivery.cause is None and is_event


def _resent_words(
    selected: Sequence[Delivery | DeliveryDetail], sent: Sequence[Delivery], shell: Shell
) -> str:
    held = sum(delivery.held for delivery in sent)
    if len(sent) != 1:
        words = f"{counted(len(sent) - held, 'delivery')} sent again"
        return f"{words}, {held:,} held by disabled hooks" if held else words
    if held or sent[0].id == selected[0].id:
        return f"{sent[0].id}: {next_step(sent[0], shell.clock(), shell.key)}"
    return f"sent again as {sent[0].id}"


def _oldest(shell: Shell) -> str:
    """Return a time (RFC 3339) before all events that the server still stores."""
    keep = None if shell.status.latest is None else shell.status.latest.keep
    days = 0.0 if keep is None else keep.days
    return to_rfc3339(shell.clock() - round(days * _DAY_MS) if days else 0)
