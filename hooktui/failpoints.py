"""Named points where a test can stop, kill or fail a server: ``HOOKTUI_FAILPOINT``.

``HOOKTUI_TESTING=1`` must be set as well, so that a single stray variable in the environment of a
real server cannot kill it. ``after_send_before_record:kill`` kills the process there the first
time, ``…:kill@3`` the third time; several are separated by commas. An unarmed point costs one call
and one comparison.
"""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

VARIABLE = "HOOKTUI_FAILPOINT"
TESTING = "HOOKTUI_TESTING"
_COUNT = re.compile("[1-9][0-9]{0,8}")

POINTS = {
    "before_migration_commit": "the schema is created or changed, not committed",
    "before_rescue_commit": "the claims of a dead server are released, not committed",
    "before_accept_commit": "an event and its deliveries are written, not committed",
    "after_accept_commit": "an event is stored, its producer has no response yet",
    "before_claim_commit": "due deliveries are leased, not committed",
    "after_claim_commit": "due deliveries are leased, none is sent",
    "before_send": "an attempt is about to open or use its connection",
    "after_send_before_record": "the receiver has responded, nothing is written yet",
    "before_record_commit": "results are written, not committed",
    "after_record_commit": "results are stored, the engine does not know yet",
    "before_release_commit": "unsent deliveries are released, not committed",
    "while_stopping": "a stop has waited for the attempts, their results are being written",
}
"""Every boundary of the delivery of an event, in order, with the state at that point."""

UPKEEP_POINTS = {
    "after_backup_is_copied": "a backup's copy beside the database is complete and has its name",
    "before_restore_is_decided": "the copy of a backup is checked and on disk, without its name",
    "after_restore_is_decided": "the copy has its name, the old database is not renamed yet",
    "while_restore_keeps_the_old": "one file of the old database has its new name",
    "before_restore_ends": "the old database is renamed, there is no database",
    "while_moving": "a table is copied to PostgreSQL, not committed",
    "before_move_commit": "all tables are copied and compared, not committed",
    "after_move_commit": "all rows are in PostgreSQL, the marker is not set to done yet",
}
"""The same for commands that work on the files of a home."""

KEY_POINTS = {
    "before_keys_are_replaced": "the new key file is on disk, without its name",
    "after_new_key_is_kept": "the key file holds the new key, nothing is encrypted with it",
    "before_key_switch_commit": "the new key encrypts from this transaction on, not committed",
    "before_reseal_commit": "some values are encrypted with the new key, not committed",
    "after_reseal_commit": "some values are encrypted with the new key, others with the old one",
    "before_old_keys_are_dropped": "nothing is encrypted with the old key, it is still there",
    "after_old_keys_are_dropped": "the key file holds only the new key, no response was sent",
}
"""The same for a rotation of keys, in order."""

REPLAY_POINTS = {
    "before_replay_lease_commit": "a server takes running replays, not committed",
    "before_replay_step_commit": "the deliveries of a step are leased, not committed",
    "after_replay_step_commit": "the deliveries of a step are leased, none is sent",
    "before_replay_end_commit": "a replay has ended, not committed",
    "after_replay_end_commit": "a replay has ended, its runner does not know yet",
}
"""The same for a replay, in order."""

ALERT_POINTS = {
    "before_alert_check_commit": "alerts that depend on time are opened or ended, not committed",
}
"""The same for alerts; those that results decide are covered by ``before_record_commit``."""

_KNOWN = {**POINTS, **REPLAY_POINTS, **UPKEEP_POINTS, **KEY_POINTS, **ALERT_POINTS}


class FailpointReached(Exception):
    """The error of the action ``error``: a fault as it may occur anywhere."""


@dataclass(slots=True)
class _Armed:
    action: Callable[[str], object]
    passes_left: int


_armed: dict[str, _Armed] | None = None


def hit(name: str) -> None:
    """Run the action that is armed for a point, if any."""
    if _armed is not None:
        _pass(_armed, name)


def arm(text: str | None) -> None:
    """Arm the points in a text; None or an empty one disarms all.

    Raises:
        ValueError: a point or an action is unknown.
    """
    global _armed  # one for the process, read at every point
    _armed = dict(_parse(part.strip()) for part in text.split(",")) if text else None


def arm_from(environ: Mapping[str, str]) -> None:
    """Arm the points of an environment; without the variable none.

    Raises:
        ValueError: a point or an action is unknown, or the environment is not that of a test.
    """
    text = environ.get(VARIABLE)
    if text and environ.get(TESTING) != "1":
        raise ValueError(f"this is for tests; unset it, or set {TESTING}=1 as well")
    arm(text)


def environment(text: str) -> dict[str, str]:
    """Return the variables that arm a point in another process."""
    return {VARIABLE: text, TESTING: "1"}


def _parse(text: str) -> tuple[str, _Armed]:
    name, _, what = text.partition(":")
    action, _, count = what.partition("@")
    if name not in _KNOWN:
        raise ValueError(f"there is no failpoint {name[:100]!r}; known: {', '.join(_KNOWN)}")
    if action not in _ACTIONS:
        raise ValueError(f"{text[:100]!r}: write {name}:ACTION with {' or '.join(_ACTIONS)}")
    if what != action and not _COUNT.fullmatch(count):
        raise ValueError(f"{text[:100]!r}: after @ comes the number of the pass, from 1")
    return name, _Armed(_ACTIONS[action], int(count or 1))


def _pass(armed: Mapping[str, _Armed], name: str) -> None:
    point = armed.get(name)
    if point is not None:
        point.passes_left -= 1
        if point.passes_left == 0:
            point.action(name)


def _error(name: str) -> None:
    raise FailpointReached(f"the failpoint {name} was armed")


_ACTIONS: Mapping[str, Callable[[str], object]] = {
    "kill": lambda _: os.kill(os.getpid(), signal.SIGKILL),
    "stop": lambda _: os.kill(os.getpid(), signal.SIGSTOP),
    "block": lambda _: threading.Event().wait(),
    "error": _error,
}
