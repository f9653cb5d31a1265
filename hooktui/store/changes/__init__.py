"""The changes that the API and the engine run: functions ``change(tx, …)``; see ``Store.write``."""

from __future__ import annotations

from hooktui.store.changes.access import create_account, create_token, revoke_token, touch_token
from hooktui.store.changes.alerts import (
    acknowledge_alert,
    acknowledge_group,
    snooze_alert,
    snooze_group,
)
from hooktui.store.changes.deliveries import (
    audit_cancel,
    audit_give_up,
    cancel,
    cancel_some,
    give_up,
    resend,
)
from hooktui.store.changes.engine import pause, resume
from hooktui.store.changes.hooks import change_hook, create_hook, delete_hook
from hooktui.store.changes.replays import (
    abort_replay,
    change_rate,
    create_replay,
    finish_replay,
    pause_replay,
    release_replays,
    renew_replays,
    resume_replay,
    set_aside,
    take_replays,
)
from hooktui.store.changes.secrets import finish_rotation, reveal_secrets, rotate_secret
