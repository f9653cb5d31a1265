"""Screen of the accounts of this installation: list, switch, create."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Input

from hooktui.client import calls
from hooktui.console.formatting import ago, short_name
from hooktui.console.frame.dialogs import ConsoleDialog
from hooktui.console.frame.list_screen import ListScreen
from hooktui.console.frame.notices import error_text
from hooktui.console.registry import relabel
from hooktui.console.widgets.controls import Note
from hooktui.console.widgets.page_window import PageQuery
from hooktui.console.widgets.styled import StyledLine, StyledText
from hooktui.console.widgets.table import Column
from hooktui.domain.errors import Conflict, HooktuiError, Refused
from hooktui.domain.hook_fields import check_name
from hooktui.domain.roles import Need
from hooktui.domain.wire.access import Account
from hooktui.domain.wire.pages import Page


class AccountsScreen(ListScreen[Account]):
    """List of all accounts; a token that is bound to one account lists only that one."""

    HEADING = "Accounts"
    NOUN = "account"
    FOLLOWS = ("hooks",)
    ROW_COMMANDS = ("open",)
    COMMAND_NAMES = ("open", "new", "sort", "order")
    ALL_ACCOUNTS = ("new",)
    COMMAND_LABELS = (
        relabel("open", "switch", "Switch to this account"),
        relabel("new", "new", "Create an account", Need.ADMINISTER),
    )

    def __init__(self) -> None:
        super().__init__()
        self.handlers.update(open=self.on_row(self._switch), new=self.new)

    def columns(self) -> Sequence[Column[Account]]:
        """Return the columns; a glyph and a label mark the current account."""
        shell = self.shell

        def name(account: Account) -> StyledLine:
            if account.id != shell.account.number:
                return ((account.name, "plain"),)
            here: StyledText = (f"  {shell.glyphs.active} shown now", "accent")
            return ((account.name, "strong"), here)

        def waiting(account: Account) -> StyledLine:
            return ((f"{account.waiting:,}", "plain" if account.waiting else "quiet"),)

        return (
            Column(name="id", cell=lambda a: str(a.id), tone="quiet", width=6, align="right",
                   priority=0, sort="id"),
            Column(name="name", cell=name, width=30, least=16, grow=1, max_width=80, priority=0,
                   sort="name"),
            Column(name="hooks", cell=lambda a: f"{a.hooks:,}", width=7, align="right", priority=1),
            Column(name="waiting", cell=waiting, width=9, align="right", priority=1),
            Column(name="created", cell=lambda a: ago(a.created_at, shell.clock()), tone="quiet",
                   width=7, align="right", priority=2),
        )  # fmt: skip

    def call_of(self, query: PageQuery) -> calls.Call[Page[Account]]:
        """Return the call that lists accounts."""
        return calls.list_accounts(**query)

    def own_disabled_reason(self, name: str) -> str | None:
        """Return a reason if the account under the cursor is the current one."""
        row, shown = self.cursor_row, self.shell.account.number
        if name == "open" and row is not None and row.id == shown:
            hooks = self.shell.key("go_hooks")
            return f"account {row.id} is already shown; {hooks} goes to its hooks"
        return None

    def _switch(self, account: Account) -> None:
        # Not in a worker of this screen, because switching may close the screen.
        self.shell.switch_account(account.id)

    async def new(self) -> None:
        """Create an account, with a name from a dialog; ask again if the name is refused."""
        name: str | None = ""
        failed = ""
        while name := await self.app.push_screen_wait(NameQuestion(name or "", failed)):
            try:
                made = await self.change(
                    calls.create_account(name), f"creating account {short_name(name)}"
                )
            except (Conflict, Refused) as error:
                failed = error_text(error)
                continue
            except HooktuiError as error:
                self.show_error(error)
                return
            self.listing.select(made.id)
            created = f"account {made.id} ({short_name(made.name)}) created"
            self.notice(f"{created}; {self.shell.key('open')} switches to it", "good")
            return


class NameQuestion(ConsoleDialog[str]):
    """Question for the name of a new account; Enter returns it if it is valid.

    The input begins with ``before``; ``failed`` says why that was refused.
    """

    DEFAULT_CSS = """
    NameQuestion > .dialog { width: 64; max-width: 96%; }
    NameQuestion Input { margin-top: 1; }
    """

    def __init__(self, before: str, failed: str) -> None:
        super().__init__()
        self._before = before
        self._failed = failed

    def compose(self) -> ComposeResult:
        """Compose the texts and the input."""
        keys = f"Enter creates it, {self.shell.key('back')} cancels."
        with Vertical(classes="dialog"):
            yield Note("New account", "strong", id="title")
            yield Note(f"It has hooks, events and tokens of its own. {keys}", id="details")
            yield Input(self._before, placeholder="name", compact=True, select_on_focus=False)
            yield Note(self._failed, "bad", id="wrong")

    def on_mount(self) -> None:
        """Set up the input."""
        self.query_one(Input).cursor_blink = False
        self.query_one(Input).focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Validate the name while it is typed."""
        if event.value != self._before:  # mounted with it, it is reported as changed
            self.query_one("#wrong", Note).show(check_name(event.value.strip()) or "", "warn")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Return the name, or show why it is not valid."""
        name = event.value.strip()
        wrong = check_name(name) or ("" if name else f"enter a name, or {self.shell.key('back')}")
        if wrong:
            self.query_one("#wrong", Note).show(wrong, "bad")
        else:
            self.dismiss(name)
