"""A new token: who will use it, what it may do, for which account, and until when."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Input, Static

from hooktui.client import calls
from hooktui.console.base import HouseScreen
from hooktui.console.keys import in_words
from hooktui.console.token_words import ROLES, read_token, role_words
from hooktui.console.widgets.choices import Choice, Note
from hooktui.console.widgets.chrome import Severity
from hooktui.console.widgets.painted import Pieces
from hooktui.domain.errors import HooktuiError
from hooktui.domain.wire.access import Token


class TokenForm(HouseScreen):
    """Four fields, judged while typing; saving shows the token."""

    PLACE = "New token"
    VERBS: ClassVar[tuple[str, ...]] = ("save", "back")
    OWN_WORDS = (in_words("save", "make it", "Make the token, and show it this once"),)
    DEFAULT_CSS = """
    TokenForm { padding: 0; }
    TokenForm .row { height: 1; padding: 0 1; margin-top: 1; }
    TokenForm .label { width: 11; color: $text-muted; }
    TokenForm .row > Input { width: 1fr; max-width: 60; }
    TokenForm .row > Choice { margin-left: 1; }
    TokenForm > Note { padding-left: 13; }
    TokenForm > #summary { padding: 0 1; margin-top: 1; height: 1fr; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._tried = False
        self._saving = False

    def heading(self) -> tuple[Pieces, Pieces]:
        """Name the form."""
        return ((f" {self.PLACE}", "strong"),), self.house.places("Tokens")

    def compose_body(self) -> ComposeResult:
        """Lay out the fields."""
        with Horizontal(classes="row"):
            yield Static("Name", classes="label", markup=False)
            yield Input(placeholder="who or what will use it", id="name", compact=True)
        yield Note(id="note-name")
        with Horizontal(classes="row"):
            yield Static("Role", classes="label", markup=False)
            yield Choice([role.value for role in ROLES], id="role")
        yield Note(id="note-role")
        with Horizontal(classes="row"):
            yield Static("Account", classes="label", markup=False)
            yield Choice([f"only account {self.house.account}", "all accounts"], id="account")
        yield Note(id="note-account")
        with Horizontal(classes="row"):
            yield Static("Expires", classes="label", markup=False)
            yield Input(placeholder="never; such as 30d, or a time", id="expires", compact=True)
        yield Note(id="note-expires")
        yield Note(id="summary")

    def on_mount(self) -> None:
        """Begin with the name."""
        super().on_mount()
        for typed in self.query(Input):
            typed.cursor_blink = False
        self.query_one("#name", Input).focus()
        self._judge()

    def on_input_changed(self) -> None:
        """Judge what is typed."""
        self._judge()

    def on_control_changed(self) -> None:
        """Judge what is chosen."""
        self._judge()

    def on_input_submitted(self) -> None:
        """Go on to the next field on Enter."""
        self.focus_next()

    def _read(self) -> tuple[dict[str, object], dict[str, str]]:
        bound = self.query_one("#account", Choice).chosen == 0
        fields, wrong = read_token(
            self.query_one("#name", Input).value,
            ROLES[self.query_one("#role", Choice).chosen],
            self.house.account if bound else None,
            self.query_one("#expires", Input).value,
            self.house.clock(),
        )
        return fields, dict(wrong)

    def _judge(self) -> None:
        if not self.is_attached:
            return
        fields, wrong = self._read()
        if not self._tried and not self.query_one("#name", Input).value:
            wrong.pop("name", None)
        for name in ("name", "expires"):
            note = self.query_one(f"#note-{name}", Note)
            note.show(wrong.get(name, ""), "bad" if self._tried else "warn")
        role = ROLES[self.query_one("#role", Choice).chosen]
        self.query_one("#note-role", Note).show(role_words(role))
        self.query_one("#note-account", Note).show(
            f"{self.house.account_name}: it sees nothing of the others"
            if "account" in fields
            else "also those that are made later"
        )
        words = f"{self.house.key('save')} makes it; the token is shown this once."
        self.query_one("#summary", Note).show(words, "quiet")

    async def verb_save(self) -> None:
        """Make the token and show it, or show at the fields what is wrong."""
        self._tried = True
        fields, wrong = self._read()
        self._judge()
        if wrong or self._saving:
            if wrong:
                self.query_one(f"#{next(iter(wrong))}", Input).focus()
            return
        self._saving = True
        try:
            made = await self.write(calls.create_token(fields), "making the token", _told)
        except HooktuiError as error:
            self.show_error(error)
            return
        finally:
            self._saving = False
        self.house.select("Tokens", made.id)
        from hooktui.console.screens.new_token import NewTokenScreen

        if not self.leave(NewTokenScreen(made)):
            self.notice(*_told(made))


def _told(made: Token) -> tuple[str, Severity]:
    """Return what to say of a token that came too late to be shown."""
    return (
        f"token {made.id} ({made.name}) was made after its form was left, and nobody has seen it:"
        " revoke it, and make another",
        "warn",
    )
