"""Commands on hooks, shared by all screens that show hooks.

Bulk commands act on all selected hooks and report their number. The selection is read when the key
is handled, not when the command starts to work: the cursor may be on another row by then.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Final

from hooktui.console.formatting import breaker_end, short_name, took
from hooktui.console.frame.bulk import BulkResult, BulkRunner
from hooktui.console.frame.parts import Handler, ScreenPart
from hooktui.console.frame.screen import ConsoleScreen
from hooktui.console.shell.server_calls import Severity
from hooktui.domain.errors import HooktuiError, NotFound
from hooktui.domain.text import counted
from hooktui.domain.wire.deliveries import DeliveryDetail
from hooktui.domain.wire.hooks import ChangedHook, Hook
from hooktui.domain.wire.replays import ReplaySelection

_ON_HOOKS: Final = ("ping", "activate", "delete")
"""Commands that may run for some hooks while they are in progress for others."""


class HookActions(ScreenPart):
    """Commands on the hooks that are selected on a screen.

    ``selected`` returns them, at least one while a command is enabled; ``deleted`` is called after
    a deletion, with the deleted hooks.

    Attributes:
        deleting: whether a deletion by this screen is in progress.
    """

    def __init__(
        self,
        screen: ConsoleScreen,
        selected: Callable[[], list[Hook]],
        bulk: BulkRunner,
        deleted: Callable[[Sequence[Hook]], None] = lambda _: None,
    ) -> None:
        self.deleting = False
        self._toggling = self._deletion_reported = False
        self._screen, self._selected = screen, selected
        self._bulk, self._on_deleted = bulk, deleted
        screen.subjects.update(dict.fromkeys(_ON_HOOKS, self._ids))

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """The handlers of all hook commands that the screen does not handle itself."""
        screen = self._screen
        handlers: dict[str, Handler] = {
            "edit": lambda: screen.shell.navigation.open_form(self._selected()[0]),
            "secret": lambda: screen.shell.navigation.open_secret(self._selected()[0]),
            "diagnose": lambda: screen.shell.navigation.open_diagnosis(self._selected()[0]),
            "ping": lambda: self._ping(self._selected()),
            "activate": lambda: self._activate(self._selected()),
            "undo": lambda: self._undo(screen.shell.account.last_toggled),
            "delete": lambda: self._delete(self._selected()),
            "replay": self.replay,
        }
        own = screen.handlers
        return {name: handler for name, handler in handlers.items() if name not in own}

    def replay(self) -> None:
        """Plan a replay of the failed deliveries of the selected hooks."""
        hooks = tuple(hook.id for hook in self._selected())
        selection = ReplaySelection(hooks=hooks)
        self._screen.shell.navigation.open_replay_form(selection)

    def disabled_reason(self, name: str) -> str | None:
        """Return a reason if nothing can be undone."""
        shell = self._screen.shell
        if name != "undo" or shell.account.last_toggled:
            return None
        if self._toggling:
            return f"still {self._screen.notices.work}"
        return f"there is nothing to undo; {shell.key('undo')} reverts the last enable or disable"

    async def read_again(self) -> Hook:
        """Return the selected hook as it is now, or the same one after a notice.

        Its deletion is reported once: a second notice would replace that of a later command.
        """
        from hooktui.client import calls

        hook = self._selected()[0]
        try:
            return await self._screen.send(calls.get_hook(hook.id))
        except NotFound:
            if not self._deletion_reported:
                back = self._screen.shell.key("back")
                self._screen.notice(f"the hook is deleted; {back} goes back", "warn")
            self._deletion_reported = True
        except HooktuiError as error:
            self._screen.show_error(error)
        return hook

    def _ids(self) -> Hashable:
        return tuple(hook.id for hook in self._selected())

    async def _ping(self, hooks: Sequence[Hook]) -> None:
        """Send a test delivery to each hook, and show the result."""
        from hooktui.client import calls

        if len(hooks) == 1:
            await self._ping_one(hooks[0])
            return
        outcome = await self._bulk.run(
            hooks,
            lambda hook: calls.ping_hook(hook.id),
            lambda hook: f"pinging {named(hook)}",
            "hook",
            "pinged",
        )
        arrived = [detail for _, detail in outcome.done if detail.status == "delivered"]
        outcome.failed += [
            (hook, _ping_result(detail))
            for hook, detail in outcome.done
            if detail.status != "delivered"
        ]
        words = f"{len(arrived)} of {counted(len(hooks), 'ping')} delivered"
        self._screen.notice(words + outcome.rest(named), outcome.severity)

    async def _ping_one(self, hook: Hook) -> None:
        from hooktui.client import calls

        shell = self._screen.shell

        def message(detail: DeliveryDetail) -> tuple[str, Severity]:
            until = breaker_end(shell.status.latest, hook.id, shell.clock())
            return _ping_message(hook, detail, until)

        call = calls.ping_hook(hook.id)
        try:
            detail = await self._screen.change(call, f"pinging {named(hook)}", message)
        except NotFound:
            self._screen.forget([hook.id])
            raise
        self._screen.notice(*message(detail))

    async def _activate(self, hooks: Sequence[Hook]) -> None:
        """Enable the hooks, or disable them if the first one is enabled."""
        view, active = self._screen.shell.account, not hooks[0].active
        word = "enabled" if active else "disabled"
        # Until this is finished, nothing can be undone: the previous toggle is no longer the last.
        number, before = view.number, view.last_toggled
        view.last_toggled, self._toggling = [], True
        try:
            others = [hook for hook in hooks if hook.active != active]
            outcome = await self._toggle(others, word, active=active)
        finally:
            self._toggling = False
        toggled = [hook for hook, _ in outcome.done]
        is_shown = view.number == number
        if is_shown and (toggled or not view.last_toggled):
            view.last_toggled = [(hook, not active) for hook in toggled] or before
        words = "no hook"
        if toggled:
            words = named(toggled[0]) if len(toggled) == 1 else counted(len(toggled), "hook")
        words += f" {word}"
        if toggled and not active:
            whose = "its" if len(toggled) == 1 else "their"
            words += f"; {whose} new events are skipped"
        undoes = f"; {self._screen.shell.key('undo')} undoes it" if toggled and is_shown else ""
        self._screen.notice(outcome.message(words, named) + undoes, outcome.severity)
        self._screen.refresh_frame()

    async def _undo(self, toggled: Sequence[tuple[Hook, bool]]) -> None:
        """Undo the last enable or disable; a second undo retries the hooks that failed."""
        view, active = self._screen.shell.account, toggled[0][1]
        number = view.number
        word = "enabled" if active else "disabled"
        hooks = [hook for hook, _ in toggled]
        outcome = await self._toggle(hooks, f"{word} again", active=active)
        done = {hook.id for hook, _ in outcome.done}
        gone = {hook.id for hook in outcome.missing}
        if view.number == number:
            view.last_toggled = [pair for pair in toggled if pair[0].id not in done | gone]
        words = f"undone: {counted(len(done), 'hook')} {word} again"
        self._screen.notice(outcome.message(words, named), outcome.severity)
        self._screen.refresh_frame()

    async def _toggle(
        self, hooks: Sequence[Hook], done: str, *, active: bool
    ) -> BulkResult[Hook, ChangedHook]:
        from hooktui.client import calls

        doing = "enabling" if active else "disabling"
        return await self._bulk.run(
            hooks,
            lambda hook: calls.edit_hook(hook.id, {"active": active}),
            lambda hook: f"{doing} {named(hook)}",
            "hook",
            done,
        )

    async def _delete(self, hooks: Sequence[Hook]) -> None:
        """Delete the hooks after a confirmation that lists the loss; its default is Cancel."""
        from hooktui.client import calls
        from hooktui.console.frame.dialogs import confirmed

        what = named(hooks[0]) if len(hooks) == 1 else counted(len(hooks), "hook")
        if not await confirmed(self._screen, f"Delete {what}", _loss(hooks), "no hook was deleted"):
            return
        self.deleting = True
        try:
            outcome = await self._bulk.run(
                hooks,
                lambda hook: calls.delete_hook(hook.id),
                lambda hook: f"deleting {named(hook)}",
                "hook",
                "deleted",
            )
        finally:
            self.deleting = False
        deleted = [hook for hook, _ in outcome.done]
        if len(deleted) < len(hooks):
            what = counted(len(deleted), "hook")
        self._screen.notice(outcome.message(f"{what} deleted", named), outcome.severity)
        self._on_deleted(deleted)


def named(hook: Hook) -> str:
    """Return the id and name of a hook, for use in a sentence."""
    return f"hook {hook.id} ({short_name(hook.name)})"


def _ping_message(hook: Hook, delivery: DeliveryDetail, until: str) -> tuple[str, Severity]:
    attempt = delivery.attempts[-1] if delivery.attempts else None
    if attempt is None:
        return f"ping of {named(hook)}: {delivery.reason or delivery.status}", "warn"
    after = f" after {took(attempt.phases_ms.total)}" if attempt.phases_ms.total else ""
    if delivery.status == "delivered":
        opened = f"; the breaker stays open {until}" if until else ""
        return f"ping of {named(hook)} delivered: {attempt.status_code}{after}{opened}", "good"
    result = attempt.status_code or attempt.error
    why = f" ({attempt.error_detail})" if attempt.error_detail else ""
    return f"ping of {named(hook)} failed: {result}{after}{why}", "bad"


def _ping_result(delivery: DeliveryDetail) -> str:
    attempt = delivery.attempts[-1] if delivery.attempts else None
    if attempt is None:
        return delivery.reason or delivery.status
    return str(attempt.status_code or attempt.error_detail or attempt.error)


def _loss(hooks: Sequence[Hook]) -> str:
    """Return the details of the confirmation: the consequences of deleting hooks."""
    waiting = sum(hook.stats.waiting + hook.stats.held for hook in hooks)
    lines = []
    if len(hooks) > 1:
        lines.append(", ".join(f"{hook.id} {hook.name}" for hook in hooks[:8]))
        if len(hooks) > 8:
            lines[-1] += f" and {len(hooks) - 8} more"
    if waiting:
        are = "is" if waiting == 1 else "are"
        lines.append(f"{counted(waiting, 'waiting delivery')} {are} cancelled.")
    secrets = "secret" if len(hooks) == 1 else "secrets"
    lines.append(f"Settings and {secrets} are deleted permanently.")
    lines.append("Past deliveries stay in the log.")
    return "\n".join(lines)
