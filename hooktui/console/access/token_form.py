"""The form of a new token, and the screen that shows it, the only place where it can be copied.

The token is readable only while it is revealed, and is always masked in screenshots.
"""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.strip import Strip
from textual.widgets import Input, Static

from hooktui.client import calls
from hooktui.console.access.token_text import ROLES, read_token, role_words
from hooktui.console.formatting import moment, short_name
from hooktui.console.frame.revealing import MASK, REVEALED_CLASS, Redactable, RevealTimer
from hooktui.console.frame.screen import ConsoleScreen
from hooktui.console.registry import relabel
from hooktui.console.shell.server_calls import Severity
from hooktui.console.widgets.controls import Choice, Note
from hooktui.console.widgets.styled import StyledLine, StyledText
from hooktui.domain.wire.access import Token


class TokenForm(ConsoleScreen):
    """Form with four fields that are validated while typing; saving shows the token."""

    HEADING = "New token"
    TOP_SCREEN = "Tokens"
    COMMAND_NAMES = ("save", "back")
    COMMAND_LABELS = (relabel("save", "create", "Create the token; it is shown only once"),)
    DEFAULT_CSS = """
    TokenForm { padding: 0; }
    TokenForm .row { height: 1; padding: 0 1; margin-top: 1; }
    TokenForm .label { width: 11; color: $text-muted; }
    TokenForm .row > Input { width: 1fr; max-width: 60; }
    TokenForm .row > Choice { margin-left: 1; }
    TokenForm #fields { height: 1fr; scrollbar-size-vertical: 1; }
    TokenForm Note { padding-left: 13; }
    TokenForm #summary { padding: 0 1; margin-top: 1; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.handlers.update(save=self.save)
        self._save_attempted = False

    def compose_body(self) -> ComposeResult:
        """Compose the fields."""
        expires = "never; such as 30d, or a time"
        accounts = [f"only account {self.shell.account.number}"]
        if self.shell.connection.bound_to is None:
            accounts.append("all accounts")
        fields: dict[str, Input | Choice] = {
            "Name": Input(placeholder="person or program that uses it", id="name", compact=True),
            "Role": Choice([role.value for role in ROLES], id="role"),
            "Account": Choice(accounts, id="account"),
            "Expires": Input(placeholder=expires, id="expires", compact=True),
        }
        with VerticalScroll(id="fields", can_focus=False):
            for label, field in fields.items():
                with Horizontal(classes="row"):
                    yield Static(label, classes="label", markup=False)
                    yield field
                yield Note(id=f"note-{field.id}")
            words = f"{self.shell.key('save')} creates it; the token is shown only once."
            yield Note(words, id="summary")

    def begin(self) -> None:
        """Set up the fields and focus the name."""
        super().begin()
        for typed in self.query(Input):
            typed.cursor_blink = False
        self.query_one("#name", Input).focus()
        self._check_form()

    def on_input_submitted(self) -> None:
        """Focus the next field on Enter."""
        self.focus_next()

    @property
    def unsaved(self) -> bool:
        """Whether closing the form would discard input."""
        return any(typed.value for typed in self.query(Input))

    def _read(self) -> tuple[dict[str, object], dict[str, str]]:
        bound = self.query_one("#account", Choice).chosen == 0
        return read_token(
            self.query_one("#name", Input).value,
            ROLES[self.query_one("#role", Choice).chosen],
            self.shell.account.number if bound else None,
            self.query_one("#expires", Input).value,
            self.shell.clock(),
        )

    def _check_form(self) -> None:
        if not self.is_attached:
            return
        fields, wrong = self._read()
        if not self._save_attempted and not self.query_one("#name", Input).value:
            wrong.pop("name", None)
        for name in ("name", "expires"):
            note = self.query_one(f"#note-{name}", Note)
            note.show(wrong.get(name, ""), "bad" if self._save_attempted else "warn")
        role = ROLES[self.query_one("#role", Choice).chosen]
        self.query_one("#note-role", Note).show(role_words(role))
        self.query_one("#note-account", Note).show(
            f"{self.shell.account.name}: no access to the others"
            if "account" in fields
            else "including those created later"
        )

    on_input_changed = on_control_changed = _check_form

    async def save(self) -> None:
        """Create the token and show it, or show the errors at their fields."""
        self._save_attempted = True
        fields, wrong = self._read()
        self._check_form()
        if wrong:
            name = next(iter(wrong))
            self.query_one(f"#{name}", Input).focus()
            self.call_after_refresh(self.query_one(f"#note-{name}", Note).scroll_visible)
            return
        made = await self.call(calls.create_token(fields), "creating the token", _message)
        if made is None:
            return
        self.shell.navigation.select("Tokens", made.id)
        if not self.leave(NewTokenScreen(made)):
            self.notice(*_message(made))


def _message(made: Token) -> tuple[str, Severity]:
    """Return the notice of a token that was created after its form was closed."""
    return (
        f"token {made.id} ({short_name(made.name)}) was created after its form was closed, and was"
        " never shown: revoke it and create another",
        "warn",
    )


class NewTokenScreen(ConsoleScreen):
    """Screen that reveals a new token for 30 seconds, and again on request, until it is closed."""

    HEADING = "New token"
    TOP_SCREEN = "Tokens"
    COMMAND_NAMES = ("reveal", "copy", "back")
    COMMAND_LABELS = (
        relabel("reveal", "reveal", "Show the token for 30 seconds, or hide it"),
        relabel("copy", "copy", "Copy the token"),
    )
    DEFAULT_CSS = """
    NewTokenScreen Note { padding: 0 1; margin: 1 0; }
    NewTokenScreen #how { height: 1fr; }
    """

    def __init__(self, token: Token) -> None:
        super().__init__()
        self.handlers.update(reveal=self.reveal, copy=self.copy)
        self.token = token
        self.reveal_timer = RevealTimer(self, lambda: self.line)

    def heading(self) -> StyledLine:
        """Return the title with the token and the seconds until it is masked."""
        return (
            (f" {self.HEADING}", "strong"),
            self.reveal_timer.words(),
            (f"  {self.token.id} {self.token.name}", "plain"),
        )

    def compose_body(self) -> ComposeResult:
        """Compose the token, between a note about it and a note about its use."""
        key = self.shell.key
        yield Note(
            "This token is shown here and never again: hooktui keeps only a hash of it. Copy it"
            f" before you leave; {key('copy')} copies it, {key('reveal')} shows it again.",
            "plain",
            id="about",
        )
        yield TokenLine()
        yield Note(self._how(), id="how")

    def begin(self) -> None:
        """Reveal the token."""
        super().begin()
        self._reveal()

    def _how(self) -> str:
        token = self.token
        where = "all accounts" if token.account is None else f"account {token.account} alone"
        ends = "never expires"
        if token.expires_at is not None:
            ends = f"expires {moment(token.expires_at, self.shell.clock())}"
        return (
            f"It {role_words(token.role)}, in {where}, and {ends}.\n"
            "Programs send it as Authorization: Bearer …; hooktui reads it from HOOKTUI_TOKEN."
        )

    @property
    def line(self) -> TokenLine:
        """The widget of the token."""
        return self.query_one(TokenLine)

    # -- revealing

    def on_screen_suspend(self) -> None:
        """Mask the token when another screen covers this one."""
        self.reveal_timer.hide()

    def reveal(self) -> None:
        """Reveal the token for 30 seconds, or mask it again."""
        if self.line.revealed:
            self.reveal_timer.hide()
        else:
            self._reveal()

    def _reveal(self) -> None:
        self.line.reveal(self.token.token or "")
        self.reveal_timer.start()

    async def copy(self) -> None:
        """Copy the token."""
        what = f"token {self.token.id}"
        await self.copy_text(self.token.token or "", what)


class TokenLine(Redactable):
    """One line with the token, ``token  hkt_…``, or with its mask."""

    DEFAULT_CSS = "TokenLine { height: 1; width: 1fr; }"

    _clear = ""

    @property
    def revealed(self) -> bool:
        """Whether the token is readable."""
        return bool(self._clear)

    def reveal(self, token: str) -> None:
        """Reveal a token; an empty one masks the line."""
        self._clear = token
        self.set_class(bool(token), REVEALED_CLASS)
        self.refresh()

    def hide(self) -> None:
        """Mask the token and discard its value."""
        self.reveal("")

    def render_line(self, y: int) -> Strip:
        """Render the token or its mask."""
        clear = "" if self.in_picture else self._clear
        shown: StyledText = (clear, "strong") if clear else (MASK, "quiet")
        return self.strip(((" token  ", "accent"), shown), self.size.width)
