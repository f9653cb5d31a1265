"""The pause of all sending: events are still accepted, nothing except pings is sent."""

from __future__ import annotations

from sqlalchemy import delete, insert

from hooktui.domain.roles import Actor
from hooktui.domain.wire.server import EngineState
from hooktui.store.feed_items import engine_item
from hooktui.store.queries.engine import engine_state
from hooktui.store.tables import PAUSE
from hooktui.store.tx import Tx


def pause(tx: Tx, actor: Actor) -> EngineState:
    """Pause all sending; no effect if it is paused."""
    before = engine_state(tx.conn)
    if before.paused is not None:
        return before
    tx.conn.execute(insert(PAUSE).values(id=1, at_ms=tx.now_ms, user=actor.user))
    return _changed(tx, actor, "engine.pause", paused=True)


def resume(tx: Tx, actor: Actor) -> EngineState:
    """Resume sending; pending deliveries are due immediately."""
    before = engine_state(tx.conn)
    if before.paused is None:
        return before
    tx.conn.execute(delete(PAUSE))
    return _changed(tx, actor, "engine.resume", paused=False)


def _changed(tx: Tx, actor: Actor, action: str, *, paused: bool) -> EngineState:
    state = engine_state(tx.conn)
    tx.audit(actor, action, "engine", before={"paused": not paused}, after={"paused": paused})
    pause_fields = None if state.paused is None else {"at": state.paused.at, "by": state.paused.by}
    tx.feed(engine_item({"paused": pause_fields}))
    tx.notes.paused = paused
    return state
