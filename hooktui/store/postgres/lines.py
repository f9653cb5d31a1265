"""Opens the connections that write lines of the feed: each skips what was taken back before it.

Claims are committed before they are on disk, and whoever follows the feed sees them at once. A
crash of the database forgets the last of them, and what the sequence knew of their numbers. The
next lines would get those numbers again, and a reader that is past them would see none of these
lines (measured: 38 of 80). A dump that is put back does the same, with more of them. After either
nobody writes without a new connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hooktui.store.postgres import locks, sql
from hooktui.store.postgres.connect import FAULTS, Target, connect, explain

if TYPE_CHECKING:
    from hooktui.store.postgres.connect import Raw

_SKIPPED: Final = 20_000
"""More lines than are written in the 0.6 s that a crash takes back, should the clock go back too.

Far more would have several connections in a row run ahead of the time.
"""

# The time in µs runs ahead of the numbers, so one dump may be put back twice. On disk before the
# first line, also where claims need not be: else a second crash takes it back. The empty line keeps
# who read an empty feed from being told of a gap where there is none.
_SKIP: Final = f"""
BEGIN;
SET LOCAL synchronous_commit = on;
SELECT pg_advisory_xact_lock({locks.FEED});
SELECT setval(name, GREATEST(nextval(name) + {_SKIPPED}, 1000 * {sql.NOW}))
FROM CAST(pg_get_serial_sequence('feed', 'pos') AS regclass) AS name;
INSERT INTO feed (at_ms, items, changes) SELECT 0, 0, '[]' WHERE NOT EXISTS (SELECT FROM feed);
COMMIT"""  # noqa: S608 - our own constants


async def connect_to_write(target: Target, **settings: str) -> Raw:
    """Open a connection that may write lines; ``settings`` are those of its session.

    Raises:
        HooktuiError: PostgreSQL cannot be reached, or does not let us in or write.
    """
    raw = await connect(target, **settings)
    try:
        await raw.execute(_SKIP)
    except FAULTS as error:
        raw.terminate()
        raise explain(error, target) from error
    except BaseException:
        raw.terminate()
        raise
    return raw
