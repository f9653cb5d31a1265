"""What can be done with hooks, alike on every screen that shows some: the verbs on a selection.

A screen mixes this in beside `HouseScreen` and says which hooks are selected. Bulk verbs act on all
of them and say how many.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hooktui.console.base import HouseScreen
from hooktui.console.times import counted, took
from hooktui.console.widgets.chrome import Severity
from hooktui.domain.errors import HooktuiError
from hooktui.domain.objects import DeliveryDetail, Hook

if TYPE_CHECKING:
    from collections.abc import Sequence


class HookVerbs(HouseScreen):
    """What can be done with the hooks that `selected_hooks` returns."""

    def __init__(self) -> None:
        super().__init__()
        self._turned: list[tuple[int, bool]] = []

    def selected_hooks(self) -> list[Hook]:
        """Return the hooks that a verb acts on."""
        raise NotImplementedError

    def verb_edit(self) -> None:
        """Edit the hook."""
        self.house.open_form(self.selected_hooks()[0])

    def verb_secret(self) -> None:
        """Show the hook's secret."""
        self.house.open_secret(self.selected_hooks()[0])

    def verb_diagnose(self) -> None:
        """Say what is wrong with the hook's receiver."""
        self.house.open_diagnosis(self.selected_hooks()[0])

    async def verb_ping(self) -> None:
        """Send a test delivery to each hook, and tell what came back."""
        from hooktui.client import calls

        hooks = self.selected_hooks()
        if len(hooks) == 1:
            self.notice(f"pinging {named(hooks[0])} …")
            answer = await self.call(calls.ping_hook(hooks[0].id))
            if answer is not None:
                self._tell_ping(hooks[0], answer)
            return
        arrived = 0
        for number, hook in enumerate(hooks, 1):
            self.notice(f"pinging {number} of {len(hooks)}: {named(hook)} …")
            answer = await self.call(calls.ping_hook(hook.id))
            arrived += answer is not None and answer.status == "delivered"
        severity: Severity = "good" if arrived == len(hooks) else "bad"
        self.notice(f"{arrived} of {len(hooks)} pings arrived", severity)

    def _tell_ping(self, hook: Hook, answer: DeliveryDetail) -> None:
        attempt = answer.attempts[-1] if answer.attempts else None
        if attempt is None:
            self.notice(f"ping of {named(hook)}: {answer.reason or answer.status}", "warn")
            return
        after = f" after {took(attempt.phases_ms.total)}" if attempt.phases_ms.total else ""
        if answer.status == "delivered":
            self.notice(f"ping of {named(hook)} arrived: {attempt.status_code}{after}", "good")
            return
        result = attempt.status_code or attempt.error
        why = f" ({attempt.error_detail})" if attempt.error_detail else ""
        self.notice(f"ping of {named(hook)} failed: {result}{after}{why}", "bad")

    @property
    def can_undo(self) -> bool:
        """Whether an activate or deactivate can be turned round."""
        return bool(self._turned)

    async def verb_activate(self) -> None:
        """Activate the hooks, or deactivate them when the first one is active."""
        hooks = self.selected_hooks()
        active = not hooks[0].active
        turned = await self._turn([(h.id, active) for h in hooks if h.active != active])
        if not turned:
            return
        self._turned = [(hook, not was) for hook, was in turned]
        what = named(hooks[0]) if len(turned) == 1 else counted(len(turned), "hook")
        word = "activated" if active else "deactivated; its new events are skipped"
        if len(turned) > 1 and not active:
            word = "deactivated; their new events are skipped"
        self.notice(f"{what} {word}; u undoes it", "good")
        self.refresh_frame()

    async def verb_undo(self) -> None:
        """Turn round the last activate or deactivate."""
        turned, self._turned = self._turned, []
        done = await self._turn(turned)
        if done:
            word = "activated" if done[0][1] else "deactivated"
            self.notice(f"undone: {counted(len(done), 'hook')} {word} again", "good")
        self.refresh_frame()

    async def _turn(self, wanted: Sequence[tuple[int, bool]]) -> list[tuple[int, bool]]:
        """Set hooks active or not; return those that were set before something went wrong."""
        from hooktui.client import calls

        done = []
        for hook, active in wanted:
            if await self.call(calls.edit_hook(hook, {"active": active})) is None:
                break
            done.append((hook, active))
        return done

    async def verb_delete(self) -> None:
        """Delete the hooks, after a question that starts on Cancel and says what is lost."""
        from hooktui.client import calls
        from hooktui.console.screens.question import Answer, Question

        hooks = self.selected_hooks()
        what = named(hooks[0]) if len(hooks) == 1 else counted(len(hooks), "hook")
        question = Question(
            f"Delete {what}?",
            _loss(hooks),
            [Answer("n", "Cancel", "cancel"), Answer("y", f"Delete {what}", "delete")],
        )
        if await self.app.push_screen_wait(question) != "delete":
            self.notice("nothing was deleted")
            return
        deleted = 0
        for hook in hooks:
            try:
                await self.ask(calls.delete_hook(hook.id))
            except HooktuiError as error:
                self.show_error(error)
                break
            deleted += 1
        else:
            self.notice(f"{what} deleted", "good")
        if deleted:
            self.forget(hooks[:deleted])

    def forget(self, hooks: Sequence[Hook]) -> None:
        """Act on hooks that are gone; a screen about one of them leaves."""


def nothing_to_undo(key: str) -> str:
    """Return why there is nothing to undo, and what the key would do."""
    return f"there is nothing to undo; {key} turns round the last activate or deactivate"


def named(hook: Hook) -> str:
    """Return number and name of a hook, for sentences."""
    return f"hook {hook.id} ({hook.name})"


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
