"""What can be done with deliveries, alike on every screen that shows some: resend and cancel."""

from __future__ import annotations

from collections.abc import Coroutine, Hashable, Sequence

from hooktui.console.formatting import counted
from hooktui.console.frame.bulk import BulkRunner
from hooktui.domain.deliveries import Status
from hooktui.domain.wire.deliveries import Delivery, DeliveryDetail


class DeliveryActions(BulkRunner):
    """Resend and cancel for the deliveries that `selected_deliveries` returns."""

    def __init__(self) -> None:
        super().__init__()
        self.handlers.update(resend=self.resend, cancel=self.cancel)

    def selected_deliveries(self) -> Sequence[Delivery | DeliveryDetail]:
        """Return the deliveries that a command acts on."""
        raise NotImplementedError

    def subject(self, name: str) -> Hashable:
        """The deliveries, for what is done with them."""
        if name in ("resend", "cancel"):
            return tuple(one.id for one in self.selected_deliveries())
        return super().subject(name)

    def disabled_reason(self, name: str) -> str | None:
        """Add: what none of the deliveries can do in its state."""
        reason = super().disabled_reason(name)
        if reason is not None or name not in ("resend", "cancel") or not self.is_mounted:
            return reason
        chosen = self.selected_deliveries()
        if not chosen:
            return "there is no delivery under the cursor"
        return (
            resend_disabled_reason(chosen) if name == "resend" else cancel_disabled_reason(chosen)
        )

    def resend(self) -> Coroutine[None, None, None]:
        """Send each delivery again: a final one as a new delivery, a waiting one now."""
        chosen = [one for one in self.selected_deliveries() if one.status != Status.SENDING]
        return self._resend(chosen)

    async def _resend(self, chosen: Sequence[Delivery | DeliveryDetail]) -> None:
        from hooktui.client import calls

        if len(chosen) > 1 and not await self._confirmed(chosen):
            self.notice("nothing was sent again")
            return
        outcome = await self.each(
            chosen,
            lambda one: calls.resend_delivery(one.id),
            lambda one: f"sending {one.id} again",
        )
        sent = [answer for _, answer in outcome.done]
        words = outcome.told(_resent_words(chosen, sent), lambda one: one.id)
        self.notice(words, outcome.severity)
        self.settled([one for one, _ in outcome.done])
        if sent:
            self.resent(sent)

    async def _confirmed(self, chosen: Sequence[Delivery | DeliveryDetail]) -> bool:
        """Ask before more than one is sent again: nothing takes back what a receiver got twice."""
        from hooktui.console.frame.dialogs import DialogOption, Question

        what = counted(len(chosen), "delivery")
        delivered = sum(one.status == Status.DELIVERED for one in chosen)
        details = "None of them has been delivered yet."
        if delivered:
            has = "have" if delivered > 1 else "has"
            count = "All" if delivered == len(chosen) else f"{delivered:,}"
            details = f"{count} of them {has} already been delivered and will be sent once more."
        question = Question(
            f"Resend {what}?",
            details,
            [DialogOption("n", "Cancel", "cancel"), DialogOption("y", f"Resend {what}", "resend")],
        )
        return await self.app.push_screen_wait(question) == "resend"

    def resent(self, sent: Sequence[Delivery]) -> None:
        """Act on what the server made of a resend; a screen about one delivery goes along."""

    def settled(self, done: Sequence[Delivery | DeliveryDetail]) -> None:
        """Act on what is done; a list unmarks it, so that the marks are what is left to do."""

    def cancel(self) -> Coroutine[None, None, None]:
        """Cancel each delivery that still waits."""
        chosen = [one for one in self.selected_deliveries() if one.status == Status.PENDING]
        return self._cancel(chosen)

    async def _cancel(self, chosen: Sequence[Delivery | DeliveryDetail]) -> None:
        from hooktui.client import calls

        outcome = await self.each(
            chosen, lambda one: calls.cancel_delivery(one.id), lambda one: f"cancelling {one.id}"
        )
        done = [one for one, _ in outcome.done]
        what = done[0].id if len(done) == 1 else counted(len(done), "delivery")
        again = "it" if len(done) == 1 else "one"
        sends = f"; {self.shell.key('resend')} sends {again} again" if done else ""
        words = outcome.told(f"{what} cancelled", lambda one: one.id)
        self.notice(words + sends, outcome.severity)
        if not outcome.whole:  # else the marks stay: resend is the way back for the same ones
            self.settled(done)


def _resent_words(chosen: Sequence[Delivery | DeliveryDetail], sent: Sequence[Delivery]) -> str:
    if len(sent) != 1:
        return f"{counted(len(sent), 'delivery')} sent again"
    if sent[0].id == chosen[0].id:
        return f"{sent[0].id} is due now"
    return f"sent again as {sent[0].id}"


def resend_disabled_reason(chosen: Sequence[Delivery | DeliveryDetail]) -> str | None:
    """Return why none of some deliveries can be sent again, or None."""
    if all(one.status == Status.SENDING for one in chosen):
        return "an attempt is under way; wait for its result"
    return None


def cancel_disabled_reason(chosen: Sequence[Delivery | DeliveryDetail]) -> str | None:
    """Return why none of some deliveries can be cancelled, or None."""
    if any(one.status == Status.PENDING for one in chosen):
        return None
    return f"only a delivery that waits can be cancelled; this one is {chosen[0].status}"
