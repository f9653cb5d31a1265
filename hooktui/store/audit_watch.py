"""Logs the last entry of the audit trail, and any fault of it, at the start and once a day.

The log is kept elsewhere (the journal, another machine). A trail that was rewritten with the
vault's key, or a restored database, lacks the entries that the log names.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from hooktui.domain.errors import log_failure
from hooktui.store.audit import trail_state
from hooktui.store.base import Store

_EVERY_S: Final = 24 * 3600.0

_log = logging.getLogger(__name__)


async def watch_trail(store: Store) -> None:
    """Check the trail now and once a day, until cancelled."""
    while True:
        try:
            state = await store.own_read(trail_state, store.vault)
        except Exception as error:  # the next day tries again
            log_failure(_log, error, "reading the audit trail")
        else:
            if state.wrong is not None:
                _log.error("the audit trail is broken: %s", state.wrong)
            if state.head is not None:
                _log.info("audit trail: the last entry is %s", state.head)
        await asyncio.sleep(_EVERY_S)
