"""Commands on a replay, shared by the list and its own screen: pause, resume, abort, rate."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Final

from hooktui.client import calls
from hooktui.console.frame.dialogs import DialogOption, ask
from hooktui.console.frame.parts import Handler, ScreenPart, acts_on
from hooktui.console.frame.screen import ConsoleScreen
from hooktui.console.registry import Command, relabel
from hooktui.console.replays.replay_text import PAUSED, RUNNING
from hooktui.domain.replays import MAX_RATE, MIN_RATE
from hooktui.domain.roles import Need
from hooktui.domain.wire.replays import Replay

LABELS: Final = (
    relabel("activate", "pause", "Pause the replay, or resume it"),
    relabel("delete", "abort", "Abort the replay; asks first", Need.OPERATE),
    relabel("larger", "faster", "Double the rate", Need.OPERATE),
    relabel("smaller", "slower", "Halve the rate", Need.OPERATE),
)
_RESUME: Final = relabel("activate", "resume", "Resume the replay")


class ReplayActions(ScreenPart):
    """Commands that change the selected replay of a screen.

    Args:
        screen: the screen.
        selected: returns the selected replay; None: there is none.
        changed: called with the new state of the replay after a change.
    """

    def __init__(
        self,
        screen: ConsoleScreen,
        selected: Callable[[], Replay | None],
        changed: Callable[[Replay], object],
    ) -> None:
        self._screen, self._selected, self._changed = screen, selected, changed

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """The handlers of pause or resume, abort, and rate changes."""
        return {
            "activate": acts_on(self._selected, self._toggle),
            "delete": acts_on(self._selected, self._abort),
            "larger": acts_on(self._selected, lambda replay: self._change_rate(replay, 2)),
            "smaller": acts_on(self._selected, lambda replay: self._change_rate(replay, 0.5)),
        }

    @property
    def labels(self) -> tuple[Command, ...]:
        """The commands with the texts for the replay's state."""
        replay = self._selected()
        return (_RESUME, *LABELS) if replay is not None and replay.state == PAUSED else LABELS

    def disabled_reason(self, name: str) -> str | None:
        """Return that the replay has ended, or None."""
        replay = self._selected()
        if name not in self.handlers or replay is None:
            return None
        return None if replay.state in (RUNNING, PAUSED) else f"the replay is {replay.state}"

    def _toggle(self, replay: Replay) -> Coroutine[None, None, None]:
        if replay.state == PAUSED:
            return self._send(calls.resume_replay(replay.id), f"resuming {replay.id}", "resumed")
        return self._send(
            calls.pause_replay(replay.id),
            f"pausing {replay.id}",
            "paused; deliveries already sent may still be retried",
        )

    def _change_rate(self, replay: Replay, factor: float) -> Coroutine[None, None, None]:
        rate = min(max(replay.rate_per_s * factor, MIN_RATE), MAX_RATE)
        call = calls.change_replay_rate(replay.id, rate)
        return self._send(call, f"changing the rate of {replay.id}", f"at most {rate:g}/s now")

    async def _abort(self, replay: Replay) -> None:
        """Abort a replay, after a question that defaults to Back."""
        options = [
            DialogOption("n", "Back", ""),
            DialogOption("y", "Abort; deliveries already sent are retried as usual", "abort"),
        ]
        if replay.progress.waiting:  # includes early retries, which are not cancelled
            words = "Abort, and cancel the pending deliveries that it created"
            options.append(DialogOption("c", words, "cancel"))
        details = "It cannot be resumed; a new replay can send the rest, and what is cancelled."
        answer = await ask(self._screen, f"Abort replay {replay.id}?", details, options)
        if not answer:
            self._screen.notice("the replay was not aborted")
            return
        call = calls.abort_replay(replay.id, cancel_waiting=answer == "cancel")
        await self._send(call, f"aborting {replay.id}", "aborted")

    async def _send(self, call: calls.Call[Replay], doing: str, words: str) -> None:
        changed = await self._screen.call(call, doing)
        if changed is not None:
            self._screen.notice(f"{changed.id}: {words}", "good")
            self._changed(changed)
