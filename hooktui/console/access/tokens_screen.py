"""Screen of the tokens that programs and remote consoles log in with: list, create, revoke."""

from __future__ import annotations

from collections.abc import Sequence

from hooktui.client import calls
from hooktui.console.access.token_form import TokenForm
from hooktui.console.access.token_text import token_columns
from hooktui.console.formatting import short_name
from hooktui.console.frame.dialogs import confirmed
from hooktui.console.frame.frame_text import introduction
from hooktui.console.frame.list_screen import ListScreen
from hooktui.console.registry import relabel
from hooktui.console.widgets.page_window import PageQuery
from hooktui.console.widgets.styled import StyledLine
from hooktui.console.widgets.table import Column
from hooktui.domain.errors import HooktuiError
from hooktui.domain.roles import Need
from hooktui.domain.wire.access import Token
from hooktui.domain.wire.pages import Page


class TokensScreen(ListScreen[Token]):
    """List of all tokens that the caller may see, without their values."""

    HEADING = "Tokens"
    NOUN = "token"
    ROW_COMMANDS = ("delete",)
    NEED = Need.ADMINISTER
    COMMAND_NAMES = ("new", "delete", "sort", "order")
    COMMAND_LABELS = (
        relabel("new", "new", "Create a token; it is shown only once", Need.ADMINISTER),
        relabel("delete", "revoke", "Revoke the token; asks first", Need.ADMINISTER),
    )

    def __init__(self) -> None:
        super().__init__()
        self.handlers.update(new=self.new, delete=self.on_row(self._revoke))

    def empty_lines(self) -> tuple[StyledLine, ...]:
        """Return the text of the empty list: what tokens are for, and how to create one."""
        return introduction(
            "No tokens yet.",
            "On this machine no token is needed: the socket identifies its users.",
            "Over TCP, programs that send events need the role producer, and a",
            "console needs viewer, operator or admin.",
            "",
            (self.shell.key("new"), "creates the first one"),
        )

    def columns(self) -> Sequence[Column[Token]]:
        """Return the columns."""
        return token_columns(self.shell.clock)

    def call_of(self, query: PageQuery) -> calls.Call[Page[Token]]:
        """Return the call that lists the tokens of all accounts."""
        return calls.list_tokens(**query)

    def on_screen_resume(self) -> None:
        """Reload on every visit, because the feed has no changes of tokens."""
        if self.listing.loaded:
            self.run_latest(self.listing.reload, "resume")

    def on_windowed_list_opened(self) -> None:
        """Show a notice, because a token has no screen to open."""
        revokes = f"{self.shell.key('delete')} revokes it"
        self.notice(f"a token is shown only once, when it is created; {revokes}")

    def new(self) -> None:
        """Open the form of a new token."""
        self.app.push_screen(TokenForm())

    async def _revoke(self, token: Token) -> None:
        """Revoke a token after a confirmation, whose default is Cancel."""
        what = f"token {token.id} ({short_name(token.name)}, {token.role})"
        if not await confirmed(
            self,
            f"Revoke {what}",
            "Programs that use it are refused immediately. A revoked token cannot be restored.",
            "no token was revoked",
        ):
            return
        try:
            await self.change(calls.revoke_token(token.id), f"revoking {what}")
        except HooktuiError as error:
            self.show_error(error)
        else:
            self.listing.choice.remove([token.id])
            self.notice(f"{what} revoked", "good")
        # Also after an error, because the feed does not report tokens that others revoked. In a
        # separate worker, because the key of this command does nothing until the command ends.
        self.run_latest(self.listing.reload, "resume")
