"""What can be done with hooks, alike on every screen that shows some: the commands on a selection.

A screen mixes this in and says which hooks are selected. Bulk commands act on all of them and say
how many. The selection is read when the key is handled, not when the work of the command begins:
other rows may be under the cursor by then.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from hooktui.console.formatting import counted, took
from hooktui.console.frame.bulk import BulkRunner, Outcome
from hooktui.console.shell.server_calls import Severity
from hooktui.domain.wire.deliveries import DeliveryDetail
from hooktui.domain.wire.hooks import Hook

if TYPE_CHECKING:
    from collections.abc import Coroutine, Hashable, Sequence

    from hooktui.client.calls import ChangedHook


class HookActions(BulkRunner):
    """What can be done with the hooks that `selected_hooks` returns.

    Attributes:
        deleting: whether the server is deleting hooks on behalf of this screen.
        turning: whether it is activating or deactivating some.
    """

    deleting = False
    turning = False

    def __init__(self) -> None:
        super().__init__()
        self.handlers.update(
            edit=self.edit,
            secret=self.secret,
            diagnose=self.diagnose,
            ping=self.ping,
            activate=self.activate,
            undo=self.undo,
            delete=self.delete,
        )

    def selected_hooks(self) -> list[Hook]:
        """Return the hooks that a command acts on."""
        raise NotImplementedError

    def edit(self) -> None:
        """Edit the hook."""
        self.shell.navigation.open_form(self.selected_hooks()[0])

    def secret(self) -> None:
        """Show the hook's secret."""
        self.shell.navigation.open_secret(self.selected_hooks()[0])

    def diagnose(self) -> None:
        """Say what is wrong with the hook's receiver."""
        self.shell.navigation.open_diagnosis(self.selected_hooks()[0])

    def ping(self) -> Coroutine[None, None, None]:
        """Send a test delivery to each hook, and tell what came back."""
        return self._ping(self.selected_hooks())

    async def _ping(self, hooks: Sequence[Hook]) -> None:
        from hooktui.client import calls

        if len(hooks) == 1:
            hook = hooks[0]
            told = partial(_ping_told, hook)
            answer = await self.call(calls.ping_hook(hook.id), f"pinging {named(hook)}", told)
            if answer is not None:
                self.notice(*told(answer))
            return
        outcome = await self.each(
            hooks, lambda hook: calls.ping_hook(hook.id), lambda hook: f"pinging {named(hook)}"
        )
        arrived = [answer for _, answer in outcome.done if answer.status == "delivered"]
        outcome.failed += [
            (hook, _ping_result(answer))
            for hook, answer in outcome.done
            if answer.status != "delivered"
        ]
        words = f"{len(arrived)} of {counted(len(hooks), 'ping')} arrived"
        self.notice(words + outcome.rest(named), outcome.severity)

    def subject(self, name: str) -> Hashable:
        """The hooks, for what is done with them: another hook may be pinged meanwhile."""
        if name in ("ping", "activate", "delete"):
            return tuple(hook.id for hook in self.selected_hooks())
        return super().subject(name)

    def undo_disabled_reason(self) -> str | None:
        """Return why no activate or deactivate can be turned round, or None."""
        if self.shell.account.last_toggled:
            return None
        if self.turning:
            return f"still {self.notices.work}"
        return nothing_to_undo(self.shell.key("undo"))

    def activate(self) -> Coroutine[None, None, None]:
        """Activate the hooks, or deactivate them when the first one is active."""
        return self._activate(self.selected_hooks())

    async def _activate(self, hooks: Sequence[Hook]) -> None:
        active = not hooks[0].active
        # While this is under way, what was turned before is no more the last.
        account, before = self.shell.account.number, self.shell.account.last_toggled
        self.shell.account.last_toggled, self.turning = [], True
        try:
            others = [hook for hook in hooks if hook.active != active]
            outcome = await self._turn(others, active=active)
        finally:
            self.turning = False
        turned = [hook for hook, _ in outcome.done]
        if self.shell.account.number == account and (turned or not self.shell.account.last_toggled):
            self.shell.account.last_toggled = [(hook, not active) for hook in turned] or before
        words = "no hook"
        if turned:
            words = named(turned[0]) if len(turned) == 1 else counted(len(turned), "hook")
        words += " activated" if active else " deactivated"
        if turned and not active:
            whose = "its" if len(turned) == 1 else "their"
            words += f"; {whose} new events are skipped"
        undoes = f"; {self.shell.key('undo')} undoes it" if turned else ""
        self.notice(outcome.told(words, named) + undoes, outcome.severity)
        self.refresh_frame()

    async def undo(self) -> None:
        """Turn round the last activate or deactivate; what fails can be tried again."""
        turned = self.shell.account.last_toggled
        active = turned[0][1]
        outcome = await self._turn([hook for hook, _ in turned], active=active)
        done = {hook.id for hook, _ in outcome.done}
        gone = {hook.id for hook, why in outcome.failed if why.startswith("no ")}
        self.shell.account.last_toggled = [one for one in turned if one[0].id not in done | gone]
        word = "activated" if active else "deactivated"
        words = f"undone: {counted(len(done), 'hook')} {word} again"
        self.notice(outcome.told(words, named), outcome.severity)
        self.refresh_frame()

    async def _turn(self, hooks: Sequence[Hook], *, active: bool) -> Outcome[Hook, ChangedHook]:
        from hooktui.client import calls

        command = "activating" if active else "deactivating"
        return await self.each(
            hooks,
            lambda hook: calls.edit_hook(hook.id, {"active": active}),
            lambda hook: f"{command} {named(hook)}",
        )

    def delete(self) -> Coroutine[None, None, None]:
        """Delete the hooks, after a question that starts on Cancel and says what is lost."""
        return self._delete(self.selected_hooks())

    async def _delete(self, hooks: Sequence[Hook]) -> None:
        from hooktui.client import calls
        from hooktui.console.frame.dialogs import DialogOption, Question

        what = named(hooks[0]) if len(hooks) == 1 else counted(len(hooks), "hook")
        question = Question(
            f"Delete {what}?",
            _loss(hooks),
            [DialogOption("n", "Cancel", "cancel"), DialogOption("y", f"Delete {what}", "delete")],
        )
        if await self.app.push_screen_wait(question) != "delete":
            self.notice("nothing was deleted")
            return
        self.deleting = True
        try:
            outcome = await self.each(
                hooks,
                lambda hook: calls.delete_hook(hook.id),
                lambda hook: f"deleting {named(hook)}",
            )
        finally:
            self.deleting = False
        deleted = [hook for hook, _ in outcome.done]
        if len(deleted) < len(hooks):
            what = counted(len(deleted), "hook")
        self.notice(outcome.told(f"{what} deleted", named), outcome.severity)
        if deleted:
            self.forget(deleted)

    def forget(self, hooks: Sequence[Hook]) -> None:
        """Act on hooks that are gone; a screen about one of them leaves."""


def nothing_to_undo(key: str) -> str:
    """Return why there is nothing to undo, and what the key would do."""
    return f"there is nothing to undo; {key} turns round the last activate or deactivate"


def named(hook: Hook) -> str:
    """Return number and name of a hook, for sentences."""
    return f"hook {hook.id} ({hook.name})"


def _ping_told(hook: Hook, answer: DeliveryDetail) -> tuple[str, Severity]:
    """Return what came back of a ping, and how it looks."""
    attempt = answer.attempts[-1] if answer.attempts else None
    if attempt is None:
        return f"ping of {named(hook)}: {answer.reason or answer.status}", "warn"
    after = f" after {took(attempt.phases_ms.total)}" if attempt.phases_ms.total else ""
    if answer.status == "delivered":
        return f"ping of {named(hook)} arrived: {attempt.status_code}{after}", "good"
    result = attempt.status_code or attempt.error
    why = f" ({attempt.error_detail})" if attempt.error_detail else ""
    return f"ping of {named(hook)} failed: {result}{after}{why}", "bad"


def _ping_result(answer: DeliveryDetail) -> str:
    attempt = answer.attempts[-1] if answer.attempts else None
    if attempt is None:
        return answer.reason or answer.status
    return str(attempt.status_code or attempt.error_detail or attempt.error)


def _loss(hooks: Sequence[Hook]) -> str:
    """Return what is lost with hooks, in sentences."""
    waiting = sum(hook.stats.waiting + hook.stats.held for hook in hooks)
    lines = []
    if len(hooks) > 1:
        lines.append(", ".join(f"{hook.id} {hook.name}" for hook in hooks[:8]))
        if len(hooks) > 8:
            lines[-1] += f" and {len(hooks) - 8} more"
    if waiting:
        still = "still waits is" if waiting == 1 else "still wait are"
        lines.append(f"{counted(waiting, 'delivery')} that {still} cancelled.")
    one = len(hooks) == 1
    lines.append(f"Settings and {'secret are' if one else 'secrets are'} gone for good.")
    lines.append("Past deliveries stay in the log.")
    return "\n".join(lines)
