"""Screen of a hook's secret: reveal for 30 seconds, copy, rotate, and code that verifies with it.

The audited API call is sent only for a reveal or a copy. The displayed code never contains the
secret, but reads it from the environment.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from textual.app import ComposeResult
from textual.containers import VerticalScroll

from hooktui.client import calls
from hooktui.console.formatting import moment
from hooktui.console.frame.bulk import BulkRunner
from hooktui.console.frame.dialogs import DialogOption, ask
from hooktui.console.frame.frame_text import end_reason
from hooktui.console.frame.revealing import RevealTimer
from hooktui.console.frame.screen import ConsoleScreen
from hooktui.console.hooks.actions import HookActions, named
from hooktui.console.hooks.secret_lines import SecretLines
from hooktui.console.hooks.verification_snippets import SECRET_VARIABLE, snippets
from hooktui.console.shell.change_feed import FeedChanges
from hooktui.console.widgets.controls import Choice, Note
from hooktui.console.widgets.document_lines import Section
from hooktui.console.widgets.document_view import DocumentView
from hooktui.console.widgets.styled import StyledLine
from hooktui.domain.clock import from_rfc3339, to_rfc3339
from hooktui.domain.hook_settings import DEFAULT_OVERLAP_S
from hooktui.domain.roles import Need, allows, why_not
from hooktui.domain.signatures import mac_name
from hooktui.domain.wire.hooks import Hook, Secret, Secrets

_ROTATIONS: Final = {
    "d": (DEFAULT_OVERLAP_S, "a new secret; the old one lasts 24 hours"),
    "h": (3600, "a new secret; the old one lasts 1 hour"),
    "w": (7 * 24 * 3600, "a new secret; the old one lasts 7 days"),
    "l": (0, "leaked: a new secret; the old one ends now"),
}
"""The rotations to choose from, by key: for how many seconds both secrets are valid, in words."""


class SecretScreen(ConsoleScreen):
    """The secret of one hook.

    ``fresh`` is that of a hook that has just been created, which is revealed immediately, and
    ``warnings`` are those of the server about it.
    """

    HEADING = "Secret"
    COMMAND_NAMES = (
        "reveal", "copy", "rotate", "ping", "previous", "next", "edit", "wrap",
    )  # fmt: skip
    DEFAULT_CSS = """
    SecretScreen #top { height: auto; max-height: 60%; }
    SecretScreen #about { padding: 0 1; margin-bottom: 1; }
    SecretScreen #how { padding: 0 1; margin-top: 1; }
    SecretScreen #language { padding: 0 1; }
    SecretScreen #code { padding: 0 1; }
    """

    def __init__(self, hook: Hook, fresh: str | None = None, warnings: Sequence[str] = ()) -> None:
        super().__init__()
        self.hook = hook
        self._snippets = snippets(hook.signature_hash)
        self._languages = Choice(list(self._snippets), id="language")
        self.handlers.update(
            reveal=self.reveal,
            copy=self.copy,
            rotate=self.rotate,
            previous=lambda: self._languages.action_step(-1),
            next=lambda: self._languages.action_step(1),
            wrap=lambda: self.notice(self.query_one(DocumentView).toggle_wrap()),
        )
        self.reveal_timer = RevealTimer(self, lambda: self.lines)
        self._actions = HookActions(self, lambda: [self.hook], BulkRunner(self))
        self.parts = (self._actions,)
        # A copy reads the secret, which is audited; do not run two at the same time.
        self.subjects["copy"] = lambda: self.hook.id
        self._fresh = fresh
        self._is_new = fresh is not None
        self._warnings = tuple(warnings)
        self._knows_rotation = False  # the next change of the secrets in the feed is known here

    def heading(self) -> StyledLine:
        """Return the title with the hook and the seconds until the secret is masked."""
        return (
            (f" {self.HEADING}", "strong"),
            self.reveal_timer.words(),
            (f"  {named(self.hook)}", "plain"),
        )

    def compose_body(self) -> ComposeResult:
        """Compose the secrets, and the code below them."""
        with VerticalScroll(id="top", can_focus=False):
            yield Note(id="about")
            yield SecretLines(self.shell.clock)
            yield Note(id="how")
        yield self._languages
        yield DocumentView(id="code")

    def begin(self) -> None:
        """Set up the texts; reveal the secret of a new hook."""
        super().begin()
        key = self.shell.key
        about = f"{key('reveal')} shows it for 30 seconds (audited), {key('copy')} copies it,"
        about += f" {key('rotate')} rotates it."
        if self._is_new:
            about = (
                f"Hook {self.hook.id} created. Give this secret to the receiver; this screen shows"
                f" it again later. {key('ping')} sends a ping, {key('back')} goes back."
            )
        if self._warnings:
            about += "\n" + "\n".join(f"! {warning}" for warning in self._warnings)
        self.query_one("#about", Note).show(about, "plain" if self._is_new else "quiet")
        self._show_how()
        self._show_code()
        if self._fresh is not None:
            made = to_rfc3339(self.shell.clock())
            fresh, self._fresh = self._fresh, None
            secret = Secret(secret=fresh, created_at=made, expires_at=None, last_used_at=None)
            self._reveal((secret,))

    def _show_how(self) -> None:
        mac = mac_name(self.hook.signature_hash)
        self.query_one("#how", Note).show(
            "How to verify: check webhook-signature and the age of webhook-timestamp, with this"
            " code or any Standard Webhooks library. X-Hook-Signature, the lower-case hex"
            f" {mac} of the raw body, keyed with the secret as shown, does not cover the age."
        )

    async def changed(self, changes: FeedChanges) -> None:
        """Reload an edited hook; its hash may be another one now."""
        if not (changes.everything or self.hook.id in changes.hooks):
            return
        if self.hook.id in changes.rotated_hooks:
            self._take_rotation()
        before, self.hook = self.hook, await self._actions.read_again()
        if self.hook.signature_hash != before.signature_hash and self.query("#code"):
            self._snippets = snippets(self.hook.signature_hash)
            self._show_how()
            self._show_code()
        self.refresh_frame()

    def _take_rotation(self) -> None:
        """Show the secrets as unknown, unless this screen knows of the change."""
        if not self._knows_rotation and self.lines.rotating is not None:
            self.reveal_timer.hide()
            self.lines.outdate()
            key = self.shell.key("reveal")
            self.notice(f"another user changed the hook's secrets; {key} shows them", "warn")
        self._knows_rotation = False

    def refresh_times(self) -> None:
        """Redraw the ages of the secrets."""
        self.lines.refresh()

    @property
    def lines(self) -> SecretLines:
        """The widget of the secrets."""
        return self.query_one(SecretLines)

    # -- revealing

    def on_screen_suspend(self) -> None:
        """Mask the secrets when another screen covers this one."""
        self.reveal_timer.hide()

    async def reveal(self) -> None:
        """Reveal the secrets for 30 seconds, or mask them again."""
        if self.lines.revealed:
            self.reveal_timer.hide()
            return
        answer = await self._ask_for_secrets()
        if answer is not None:
            self._reveal(answer.secrets)

    async def _ask_for_secrets(self) -> Secrets | None:
        with self.notices.working("reading the secret"):
            return await self.call(calls.hook_secrets(self.hook.id))

    def _reveal(self, secrets: Sequence[Secret]) -> None:
        self.lines.reveal(secrets)
        self.reveal_timer.start()

    # -- copying

    def own_disabled_reason(self, name: str) -> str | None:
        """Return a reason if the role may not copy secrets, or if there is no further language."""
        if name == "copy" and not self._at_code():
            role = self.shell.role
            if not allows(role, Need.ADMINISTER):
                return why_not(role, Need.ADMINISTER)
        return end_reason(name, self._languages.chosen, len(self._snippets), "language")

    def _at_code(self) -> bool:
        return self.query_one("#code").has_focus or self._languages.has_focus

    async def copy(self) -> None:
        """Copy the secret; the code if it or the list of languages has the focus."""
        if self._at_code():
            language = self._languages.value
            what = f"the {language} code (it reads {SECRET_VARIABLE})"
            await self.copy_text(self._snippets[language], what)
            return
        if self.lines.revealed:
            value = self.lines.value_under_cursor()
        else:
            answer = await self._ask_for_secrets()
            if answer is None:
                return
            as_shown = self.lines.shows(answer.secrets)
            self._knows_rotation |= not as_shown and not self.lines.is_outdated
            self.lines.remember(answer.secrets)
            if not as_shown:
                again = f"check, then press {self.shell.key('copy')} again"
                self.notice(f"the hook's secrets have changed; {again}", "warn")
                return
            value = self.lines.value_under_cursor(answer.secrets)
        await self.copy_text(value, f"the secret of hook {self.hook.id}")

    # -- rotating

    async def rotate(self) -> None:
        """Create a new secret, or finish the rotation in progress."""
        name = named(self.hook)
        answer = await self._ask_for_rotation(name)
        if answer == "f":
            call, doing = calls.finish_rotation(self.hook.id), f"finishing the rotation of {name}"
        elif answer in _ROTATIONS:
            call = calls.rotate_secret(self.hook.id, overlap_s=_ROTATIONS[answer][0])
            doing = f"rotating the secret of {name}"
        else:
            return
        self._knows_rotation = True
        rotated = await self.call(call, doing)
        if rotated is None:
            self._knows_rotation = False
            return
        valid = "only the newest secret is valid now"
        if answer != "f":
            valid = self._overlap_words(rotated)
        self.reveal_timer.hide()
        self.lines.remember(rotated.secrets)
        self.lines.cursor = 0
        key = self.shell.key
        keys = f"{key('reveal')} shows it, {key('copy')} copies it"
        self.notice(f"{valid}; {keys}", "good")

    async def _ask_for_rotation(self, name: str) -> str | None:
        """Return a key of `_ROTATIONS`, "f" to finish a rotation, or another text for no change."""
        options = [DialogOption(key, words, key) for key, (_, words) in _ROTATIONS.items()]
        if self.lines.rotating is not False:
            words = "finish: only the newest secret stays valid"
            options.insert(0, DialogOption("f", words, "f"))
        return await ask(
            self,
            f"Rotate the secret of {name}?",
            "While both are valid, webhook-signature carries one signature of each, and"
            " X-Hook-Signature stays with the old one until the rotation ends: a receiver that"
            " gets the new secret in time never rejects a delivery.",
            [DialogOption("c", "cancel", "c"), *options],
        )

    def _overlap_words(self, rotated: Secrets) -> str:
        ends = [s.expires_at for s in rotated.secrets if s.expires_at is not None]
        if not ends:
            return "a new secret is valid; the old one is not"
        until = moment(max(from_rfc3339(end) for end in ends), self.shell.clock())
        return f"a new secret is valid; the old one is, too, until {until}"

    # -- the code

    def on_control_changed(self) -> None:
        """Show the code of the selected language."""
        self._show_code()
        self.refresh_frame()

    def _show_code(self) -> None:
        language = self._languages.value
        copies = f"{self.shell.key('copy')} copies this code"
        note = f"reads the secret from {SECRET_VARIABLE}; {copies}"
        code = self._snippets[language].rstrip("\n")
        self.query_one(DocumentView).show([Section(language, note=note, text=code)])
