"""The valid secrets of a hook: masked unless revealed, and always masked in screenshots.

The values are kept only while they are revealed; after that, only their timestamps remain. No
secret appears in a ``repr``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import ClassVar, Final

from textual.binding import BindingType
from textual.geometry import Size
from textual.strip import Strip

from hooktui.console.formatting import moment, since_words
from hooktui.console.frame.revealing import MASK, REVEALED_CLASS, Redactable
from hooktui.console.registry import cursor_after, move_bindings
from hooktui.console.widgets.styled import StyledText, StyleName
from hooktui.domain.wire.hooks import Secret

_LINES_EACH: Final = 2


class SecretLines(Redactable, can_focus=True):
    """Widget with a block of two lines for each valid secret, the newest first.

    Attributes:
        cursor: the number of the secret to copy.
        is_outdated: whether another user has changed the secrets.
    """

    DEFAULT_CSS = "SecretLines { height: auto; width: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = [*move_bindings()]

    def __init__(self, clock: Callable[[], int]) -> None:
        super().__init__()
        self._clock = clock
        self._known: tuple[Secret, ...] = ()
        self.is_outdated = False
        self.cursor = 0

    @property
    def revealed(self) -> bool:
        """Whether the secrets are readable."""
        return any(secret.secret for secret in self._known)

    @property
    def rotating(self) -> bool | None:
        """Whether a rotation is in progress; None if unknown."""
        return len(self._known) > 1 if self._known and not self.is_outdated else None

    def reveal(self, secrets: Sequence[Secret]) -> None:
        """Reveal secrets."""
        self._known, self.is_outdated = tuple(secrets), False
        self._changed()

    def hide(self) -> None:
        """Mask the secrets and discard their values; their timestamps remain."""
        if not self.is_outdated:
            self.remember(self._known)

    def remember(self, secrets: Sequence[Secret]) -> None:
        """Store the timestamps of secrets, but not their values."""
        self._known = tuple(replace(secret, secret="") for secret in secrets)
        self.is_outdated = False
        self._changed()

    def outdate(self) -> None:
        """Mask the secrets, which another user has changed, and show no timestamps of them."""
        self.hide()
        self.is_outdated = True
        self._changed()

    def shows(self, secrets: Sequence[Secret]) -> bool:
        """Return whether these are the displayed secrets, masked or not; True if none are known."""
        known = [secret.created_at for secret in self._known]
        return not known or known == [secret.created_at for secret in secrets]

    def value_under_cursor(self, secrets: Sequence[Secret] = ()) -> str:
        """Return the secret at the cursor, from ``secrets`` or else from the displayed ones."""
        return (tuple(secrets) or self._known)[min(self.cursor, self._last)].secret

    @property
    def _last(self) -> int:
        return 0 if self.is_outdated else max(0, len(self._known) - 1)

    def _changed(self) -> None:
        self.cursor = min(self.cursor, self._last)
        self.set_class(self.revealed, REVEALED_CLASS)
        self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Return the height: two lines for each secret, and there is always at least one."""
        return _LINES_EACH * (self._last + 1)

    def render_line(self, y: int) -> Strip:
        """Render a secret, or the line below it with its timestamps."""
        number, below = divmod(y, _LINES_EACH)
        width = self.size.width
        if number > self._last:
            return self.strip((), width)
        secret = self._known[number] if self._known and not self.is_outdated else None
        if below:
            return self.strip(((" " * 12 + self._about(number, secret), "quiet"),), width)
        clear = secret.secret if secret is not None and not self.in_picture else ""
        name = ("secret" if self._last == 0 else "newest") if number == 0 else "previous"
        tone: StyleName = "accent" if number == 0 else "quiet"
        shown: StyledText = (clear, "strong") if clear else (MASK, "quiet")
        chosen = self.has_focus and self._last > 0 and number == self.cursor
        over = self.tone("cursor") if chosen else None
        return self.strip(((f" {name:<10} ", tone), shown), width, over)

    def _about(self, number: int, secret: Secret | None) -> str:
        if secret is None:
            return "its age is shown after it is revealed or rotated"
        now_ms = self._clock()
        words = [f"created {since_words(secret.created_at, now_ms)}"]
        if secret.last_used_at:
            words.append(f"used {since_words(secret.last_used_at, now_ms)}")
        else:
            words.append("not used yet")
        if secret.expires_at:
            words.insert(0, f"signs X-Hook-Signature until {moment(secret.expires_at, now_ms)}")
        elif self._last > 0:
            words.insert(0, "both sign webhook-signature")
        return ", ".join(words)

    def action_move(self, name: str) -> None:
        """Move the cursor to the secret to copy."""
        self.cursor = cursor_after(name, self.cursor, count=self._last + 1, page=1)
        self.refresh()
