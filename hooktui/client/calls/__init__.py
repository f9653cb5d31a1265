"""The calls of the HTTP API as values: the request, and how its response is decoded.

A `Call` does nothing by itself; a client's ``call`` sends it. So the synchronous and the
asynchronous client share one list of calls. Names are imported on first use, so that a command
loads only the objects that it sends or reads.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from hooktui.client.calls.call import Call as Call
from hooktui.client.calls.call import Window as Window

if TYPE_CHECKING:
    from hooktui.client.calls.access import *
    from hooktui.client.calls.alerts import *
    from hooktui.client.calls.deliveries import *
    from hooktui.client.calls.events import *
    from hooktui.client.calls.hooks import *
    from hooktui.client.calls.replays import *
    from hooktui.client.calls.server import *

_CALLS = {
    "access": """
        create_account create_token list_accounts list_audit list_tokens revoke_token
        verify_audit
    """,
    "alerts": """
        acknowledge_alert get_alert list_alerts snooze_alert
    """,
    "deliveries": """
        acknowledge_undelivered cancel_delivery cancel_many follow_feed get_delivery
        give_up_undelivered list_deliveries list_undelivered resend_delivery
        snooze_undelivered
    """,
    "events": """
        event_decisions event_types get_event list_events send_event send_many
    """,
    "hooks": """
        create_hook delete_hook diagnose_hook dry_run edit_hook finish_rotation
        follow_diagnosis get_hook hook_health hook_secrets list_hooks ping_hook
        rotate_secret
    """,
    "replays": """
        abort_replay change_replay_rate create_replay get_replay list_replays pause_replay
        plan_replay resume_replay
    """,
    "server": """
        backup checkup healthy list_keys pause purge resume rotate_keys server_status
    """,
}
"""The modules, and the calls in each."""
_MODULES = {name: module for module, names in _CALLS.items() for name in names.split()}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    call: object = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = call
    return call
