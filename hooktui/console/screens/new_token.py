"""A token that was made just now: the only place where it can be seen, and copied."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult

from hooktui.console.clipboard import copy
from hooktui.console.delivery_words import moment
from hooktui.console.keys import in_words
from hooktui.console.revealing import Revealing
from hooktui.console.token_words import role_words
from hooktui.console.widgets.choices import Note
from hooktui.console.widgets.painted import Pieces
from hooktui.console.widgets.token_line import TokenLine
from hooktui.domain.clock import from_rfc3339
from hooktui.domain.wire.access import Token


class NewTokenScreen(Revealing):
    """Shows a new token for 30 seconds, again on demand, until this screen is left."""

    PLACE = "New token"
    VERBS: ClassVar[tuple[str, ...]] = ("reveal", "copy", "back")
    OWN_WORDS = (
        in_words("reveal", "reveal", "Show the token for 30 seconds, or hide it"),
        in_words("copy", "copy", "Copy the token"),
    )
    DEFAULT_CSS = """
    NewTokenScreen Note { padding: 0 1; margin: 1 0; }
    NewTokenScreen #how { height: 1fr; }
    """

    def __init__(self, token: Token) -> None:
        super().__init__()
        self.token = token

    def heading(self) -> tuple[Pieces, Pieces]:
        """Name the token, and how long it stays visible."""
        left: Pieces = (
            (f" {self.PLACE}", "strong"),
            self.how_long(),
            (f"  {self.token.id} {self.token.name}", "plain"),
        )
        return left, self.house.places("Tokens")

    def compose_body(self) -> ComposeResult:
        """Lay out the token between what it is and how it is used."""
        yield Note(id="about")
        yield TokenLine("*" if self.house.options.ascii else "•", id="token")
        yield Note(id="how")

    def on_mount(self) -> None:
        """Fill in the words, and show the token."""
        super().on_mount()
        key = self.house.key
        self.query_one("#about", Note).show(
            "This token is shown here and never again: hooktui keeps only a hash of it. Copy it"
            f" before you leave; {key('copy')} copies it, {key('reveal')} shows it again.",
            "plain",
        )
        self.query_one("#how", Note).show(self._how())
        self._reveal()

    def _how(self) -> str:
        token = self.token
        where = "all accounts" if token.account is None else f"account {token.account} alone"
        ends = "never expires"
        if token.expires_at is not None:
            ends = f"expires {moment(from_rfc3339(token.expires_at), self.house.clock())}"
        return (
            f"It {role_words(token.role)}, in {where}, and {ends}.\n"
            "Programs send it as Authorization: Bearer …; hooktui reads it from HOOKTUI_TOKEN."
        )

    @property
    def line(self) -> TokenLine:
        """The token as it is drawn."""
        return self.query_one(TokenLine)

    # -- revealing

    def verb_reveal(self) -> None:
        """Show the token for a while, or hide it again."""
        if self.line.revealed:
            self.hide_again()
        else:
            self._reveal()

    def _reveal(self) -> None:
        self.line.reveal(self.token.token or "")
        self.begin_count_down()

    async def verb_copy(self) -> None:
        """Copy the token."""
        what = f"token {self.token.id}"
        self.notice(await copy(self.app, self.token.token or "", what), "good")
