"""Commands on deliveries, the same on every screen that shows some: resend and cancel."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Hashable, Mapping, Sequence

from hooktui.console.formatting import counted
from hooktui.console.frame.bulk import BulkRunner
from hooktui.console.frame.parts import Handler, ScreenPart
from hooktui.console.frame.screen import ConsoleScreen
from hooktui.domain.deliveries import DeliveryStatus
from hooktui.domain.wire.deliveries import Delivery, DeliveryDetail


class DeliveryActions(ScreenPart):
    """Resend and cancel for the deliveries that are selected on a screen.

    Args:
        screen: the screen.
        selected: returns the selected deliveries.
        bulk: runs commands on many deliveries.
        missing: returns why there is none.
        resent: called with the deliveries that a resend made.
        settled: called with the deliveries that a command is done with.
    """

    def __init__(
        self,
        screen: ConsoleScreen,
        selected: Callable[[], Sequence[Delivery | DeliveryDetail]],
        bulk: BulkRunner,
        *,
        missing: Callable[[], str] = lambda: "there is no delivery under the cursor",
        resent: Callable[[Sequence[Delivery]], None] = lambda _: None,
        settled: Callable[[Sequence[Delivery | DeliveryDetail]], None] = lambda _: None,
    ) -> None:
        self._screen, self._selected, self._bulk = screen, selected, bulk
        self._missing, self._on_resent, self._on_settled = missing, resent, settled
        screen.subjects.update(resend=self._ids, cancel=self._ids)

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """Resend and cancel."""
        return {"resend": self.resend, "cancel": self.cancel}

    def disabled_reason(self, name: str) -> str | None:
        """Return why none of the deliveries can be resent or cancelled."""
        if name not in ("resend", "cancel"):
            return None
        selected = self._selected()
        if not selected:
            return self._missing()
        resend = name == "resend"
        return resend_disabled_reason(selected) if resend else cancel_disabled_reason(selected)

    def _ids(self) -> Hashable:
        return tuple(delivery.id for delivery in self._selected())

    def resend(self) -> Coroutine[None, None, None]:
        """Send each delivery again: a final one as a new delivery, a waiting one now."""
        return self._resend(
            [delivery for delivery in self._selected() if delivery.status != DeliveryStatus.SENDING]
        )

    async def _resend(self, selected: Sequence[Delivery | DeliveryDetail]) -> None:
        from hooktui.client import calls

        if len(selected) > 1 and not await self._confirmed(selected):
            self._screen.notice("nothing was sent again")
            return
        outcome = await self._bulk.run(
            selected,
            lambda delivery: calls.resend_delivery(delivery.id),
            lambda delivery: f"sending {delivery.id} again",
        )
        sent = [delivery for _, delivery in outcome.done]
        words = outcome.message(_resent_words(selected, sent), lambda delivery: delivery.id)
        self._screen.notice(words, outcome.severity)
        self._on_settled([delivery for delivery, _ in outcome.done])
        if sent:
            self._on_resent(sent)

    async def _confirmed(self, selected: Sequence[Delivery | DeliveryDetail]) -> bool:
        """Ask before more than one is sent again: a receiver cannot undo what it got twice."""
        from hooktui.console.frame.dialogs import DialogOption, Question

        what = counted(len(selected), "delivery")
        delivered = sum(delivery.status == DeliveryStatus.DELIVERED for delivery in selected)
        details = "None of them has been delivered yet."
        if delivered:
            has = "have" if delivered > 1 else "has"
            count = "All" if delivered == len(selected) else f"{delivered:,}"
            details = f"{count} of them {has} already been delivered and will be sent once more."
        question = Question(
            f"Resend {what}?",
            details,
            [DialogOption("n", "Cancel", "cancel"), DialogOption("y", f"Resend {what}", "resend")],
        )
        return await self._screen.app.push_screen_wait(question) == "resend"

    def cancel(self) -> Coroutine[None, None, None]:
        """Cancel each delivery that still waits."""
        return self._cancel(
            [delivery for delivery in self._selected() if delivery.status == DeliveryStatus.PENDING]
        )

    async def _cancel(self, selected: Sequence[Delivery | DeliveryDetail]) -> None:
        from hooktui.client import calls

        outcome = await self._bulk.run(
            selected,
            lambda delivery: calls.cancel_delivery(delivery.id),
            lambda delivery: f"cancelling {delivery.id}",
        )
        done = [delivery for delivery, _ in outcome.done]
        what = done[0].id if len(done) == 1 else counted(len(done), "delivery")
        again = "it" if len(done) == 1 else "one"
        sends = f"; {self._screen.shell.key('resend')} sends {again} again" if done else ""
        words = outcome.message(f"{what} cancelled", lambda delivery: delivery.id)
        self._screen.notice(words + sends, outcome.severity)
        if not outcome.whole:  # else the marks stay: resend undoes it for the same ones
            self._on_settled(done)


def _resent_words(selected: Sequence[Delivery | DeliveryDetail], sent: Sequence[Delivery]) -> str:
    if len(sent) != 1:
        return f"{counted(len(sent), 'delivery')} sent again"
    if sent[0].id == selected[0].id:
        return f"{sent[0].id} is due now"
    return f"sent again as {sent[0].id}"


def resend_disabled_reason(selected: Sequence[Delivery | DeliveryDetail]) -> str | None:
    """Return why none of some deliveries can be sent again, or None."""
    if all(delivery.status == DeliveryStatus.SENDING for delivery in selected):
        return "an attempt is in progress; wait for its result"
    return None


def cancel_disabled_reason(selected: Sequence[Delivery | DeliveryDetail]) -> str | None:
    """Return why none of some deliveries can be cancelled, or None."""
    if any(delivery.status == DeliveryStatus.PENDING for delivery in selected):
        return None
    return f"only a delivery that waits can be cancelled; this one is {selected[0].status}"
