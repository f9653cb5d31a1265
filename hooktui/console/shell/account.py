"""Shows another account: everything that belongs to the one before is left, and told anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hooktui.console.shell.contract import FeedChanges
from hooktui.console.shell.log_buffer import LogLine
from hooktui.domain.errors import HooktuiError

if TYPE_CHECKING:
    from hooktui.console.app import ConsoleApp


async def use_account(shell: ConsoleApp, account: int) -> bool:
    """Show an account from now on; return whether the server lets us (else: a notice).

    Once the server has said yes nothing is awaited: whoever asked may be a screen that is left.
    """
    from hooktui.client import calls

    try:
        status = await shell.ask(calls.server_status(account))
        name = await _name_of(shell, account)
    except HooktuiError as error:
        shell.notice(str(error), "bad")
        return False
    for screen in shell.navigation.screens():
        screen.keep()
    shell.account, shell.account_name = account, name
    shell.backlog_trend.clear()
    shell.take_status(status)
    shell.last_toggled = []  # undo acts on hooks of the account that is shown
    shell.hook_names.clear()
    shell.log_buffer.clear()
    note = f"the log of {name or f'account {account}'}"
    shell.log_buffer.extend([LogLine(at_ms=shell.clock(), note=note)])
    shell.feed.start_over()
    shell.follow_feed()
    while len(shell.screen_stack) > 1:
        shell.pop_screen()
    for screen in shell.navigation.screens():
        screen.account_changed()
        screen.refresh_frame()
    shell.tell(FeedChanges(everything=True))
    shell.notice(f"this is account {account}{name and f' ({name})'} now", "good")
    return True


async def _name_of(shell: ConsoleApp, account: int) -> str:
    """Return the name of an account; nothing where there are too many to look through."""
    from hooktui.client import calls

    accounts = await shell.ask(calls.list_accounts(limit=500))
    return next((one.name for one in accounts.data if one.id == account), "")
