"""The terminal is told of new alerts, seldom, and in constant words alone."""

from __future__ import annotations

import pytest

from hooktui.console.shell.desktop_alerts import MIN_INTERVAL_MS, Notify, TerminalNotifier
from hooktui.domain.wire.feed import FeedLine


class Terminal:
    """What a notifier wrote, and the time it sees."""

    def __init__(self, how: Notify = "desktop", *, in_tmux: bool = False) -> None:
        self.written: list[str] = []
        self.now_ms = 1_000_000
        self.notifier = TerminalNotifier(
            how, self.written.append, lambda: self.now_ms, in_tmux=in_tmux
        )

    def take(self, *alerts: dict[str, object], quiet: bool = False) -> list[str]:
        """Take alerts; return what was written for them."""
        self.written.clear()
        lines = [FeedLine("alert", "2026-11-27T12:00:00Z", fields) for fields in alerts]
        self.notifier.receive(lines, quiet=quiet)
        return list(self.written)


def alert(number: int = 1, kind: str = "hook.failing", state: str = "open") -> dict[str, object]:
    return {
        "id": f"alr_{number}", "type": kind, "state": state, "summary": "hook 3 (\x1b]0;evil\a)",
    }  # fmt: skip


FAILING = "\a\x1b]9;hooktui: a hook is failing\a"


def test_a_new_alert_is_told_while_the_terminal_has_no_focus() -> None:
    terminal = Terminal()
    terminal.notifier.focused(False)
    assert terminal.take(alert()) == [FAILING]


def test_nothing_is_told_before_a_lost_focus_was_reported() -> None:
    terminal = Terminal()
    assert terminal.take(alert(1)) == []
    terminal.notifier.focused(False)
    terminal.notifier.focused(True)
    assert terminal.take(alert(2)) == []


@pytest.mark.parametrize(
    ("how", "in_tmux", "written"),
    [
        ("off", False, []),
        ("bell", False, ["\a"]),
        ("desktop", False, [FAILING]),
        ("desktop", True, ["\a"]),
    ],
)
def test_it_is_told_as_the_user_has_set(how: Notify, in_tmux: bool, written: list[str]) -> None:
    terminal = Terminal(how, in_tmux=in_tmux)
    terminal.notifier.focused(False)
    assert terminal.take(alert()) == written


def test_once_in_thirty_seconds() -> None:
    terminal = Terminal("bell")
    terminal.notifier.focused(False)
    assert terminal.take(alert(1), alert(2)) == ["\a"]
    terminal.now_ms += MIN_INTERVAL_MS - 1
    assert terminal.take(alert(3)) == []
    terminal.now_ms += 1
    assert terminal.take(alert(4)) == ["\a"]


def test_a_start_or_a_reconnect_tells_nothing_and_is_remembered() -> None:
    terminal = Terminal("bell")
    terminal.notifier.focused(False)
    assert terminal.take(alert(1), quiet=True) == []
    assert terminal.take(alert(1)) == []


def test_only_what_opens_is_told() -> None:
    terminal = Terminal("bell")
    terminal.notifier.focused(False)
    assert terminal.take(alert(1, state="acknowledged")) == []
    assert terminal.take(alert(1)) == []
    assert terminal.take(alert(1, state="resolved")) == []
    assert terminal.take(alert(1)) == ["\a"]


def test_a_replay_that_finished_is_told_although_its_alert_is_resolved_at_once() -> None:
    terminal = Terminal("desktop")
    terminal.notifier.focused(False)
    told = terminal.take(alert(1, "replay.finished", "resolved"))
    assert told == ["\a\x1b]9;hooktui: a replay finished\a"]
    terminal.now_ms += MIN_INTERVAL_MS
    assert terminal.take(alert(2, "hook.failing", "resolved")) == []


def test_a_type_without_a_text_is_not_told() -> None:
    terminal = Terminal()
    terminal.notifier.focused(False)
    assert terminal.take(alert(1, "a.new.type")) == []


def test_other_lines_of_the_feed_are_no_alerts() -> None:
    terminal = Terminal()
    terminal.notifier.focused(False)
    terminal.notifier.receive([FeedLine("hook", "2026-11-27T12:00:00Z", alert())], quiet=False)
    assert terminal.written == []
