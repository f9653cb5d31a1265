"""Shows another account: everything that belongs to the one before is left, and told anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hooktui.console.shell.contract import Changes
from hooktui.console.shell.log_buffer import LogLine
from hooktui.domain.errors import HooktuiError

if TYPE_CHECKING:
    from hooktui.console.app import ConsoleApp


async def use_account(house: ConsoleApp, account: int) -> bool:
    """Show an account from now on; return whether the server lets us (else: a notice).

    Once the server has said yes nothing is awaited: whoever asked may be a screen that is left.
    """
    from hooktui.client import calls

    try:
        status = await house.ask(calls.server_status(account))
        name = await _name_of(house, account)
    except HooktuiError as error:
        house.notice(str(error), "bad")
        return False
    for screen in house.house_screens():
        screen.keep()
    house.account, house.account_name = account, name
    house.backlog_trend.clear()
    house.take_status(status)
    house.turned = []  # undo acts on hooks of the account that is shown
    house.hook_names.clear()
    house.log_buffer.clear()
    note = f"the log of {name or f'account {account}'}"
    house.log_buffer.extend([LogLine(at_ms=house.clock(), note=note)])
    house.feed.start_over()
    house.follow_feed()
    while len(house.screen_stack) > 1:
        house.pop_screen()
    for screen in house.house_screens():
        screen.account_changed()
        screen.refresh_frame()
    house.tell(Changes(everything=True))
    house.notice(f"this is account {account}{name and f' ({name})'} now", "good")
    return True


async def _name_of(house: ConsoleApp, account: int) -> str:
    """Return the name of an account; nothing where there are too many to look through."""
    from hooktui.client import calls

    accounts = await house.ask(calls.list_accounts(limit=500))
    return next((one.name for one in accounts.data if one.id == account), "")
