"""The calls of the HTTP API as values: the request, and how its response is decoded.

A `Call` does nothing by itself; a client's ``call`` sends it. So the synchronous and the
asynchronous client share one list of calls.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, Literal, TypedDict, TypeVar, Unpack
from urllib.parse import quote, urlencode

import msgspec

from hooktui.client.responses import LINES
from hooktui.domain.errors import NotFound, Refused
from hooktui.domain.wire.access import Account, AuditCheck, AuditEntry, Token
from hooktui.domain.wire.alerts import Alert
from hooktui.domain.wire.deliveries import Delivery, DeliveryDetail
from hooktui.domain.wire.diagnosis import Diagnosis, DiagnosisLine, DoctorReport
from hooktui.domain.wire.events import (
    AcceptedEvent,
    AcceptedEvents,
    Catalogue,
    Event,
    EventDetail,
    HookDecision,
)
from hooktui.domain.wire.feed import FeedPage, decode_page
from hooktui.domain.wire.hooks import ChangedHook as ChangedHook
from hooktui.domain.wire.hooks import CreatedHook as CreatedHook
from hooktui.domain.wire.hooks import DryRun, Hook, HookHealth, Secrets
from hooktui.domain.wire.pages import Page
from hooktui.domain.wire.replays import Replay, ReplayPlan, ReplaySelection
from hooktui.domain.wire.server import EngineState, KeyRotation, Keys, Purge, ServerStatus
from hooktui.domain.wire.undelivered import CancelledMany, ChangedGroup, GaveUp, UndeliveredPage

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

USUAL_TIMEOUT_S = 30.0
PING_TIMEOUT_S = 45.0
"""A ping waits for a slot, then for the receiver, at most 30 s."""

DIAGNOSIS_TIMEOUT_S = 70.0
"""The probe takes 20 s at most; then a ping follows."""

BACKUP_TIMEOUT_S = 4 * 3600.0
"""Time to copy and check some hundred GB."""

CHECKUP_TIMEOUT_S = 90.0
"""The server checks the database for 30 s at most; the rest is for a busy disk."""

_JSON = {"Content-Type": "application/json"}
_NDJSON = {"Content-Type": LINES}

Method = Literal["GET", "POST", "PATCH", "DELETE"]
Parameter = str | int | bool | Sequence[int] | None


@dataclass(frozen=True, slots=True)
class Call(Generic[T_co]):
    """One request, and the function that decodes its JSON response to a value.

    ``path`` is escaped and includes the query. ``body`` is sent unchanged, ``headers`` in Latin-1.
    """

    method: Method
    path: str
    decode: Callable[[object], T_co]
    body: bytes | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout_s: float = USUAL_TIMEOUT_S

    @property
    def changes(self) -> bool:
        """Whether it changes the state of the server."""
        looks = ("/dry-run", "/diagnose", "/replays/plan")
        only_looks = self.path.partition("?")[0].endswith(looks)
        return self.method != "GET" and not only_looks


class Window(TypedDict, total=False):
    """The page of a list: all fields are optional; ``order`` is ``asc`` or ``desc``."""

    limit: int | None
    cursor: str | None
    sort: str | None
    order: str | None
    from_end: bool


def _to(kind: type[T]) -> Callable[[object], T]:
    return partial(msgspec.convert, type=kind)


def _nothing(_answer: object) -> None:
    return None


_NOT_IN_NAMES = re.compile(r"[/\\\x00-\x1f\x7f]")
"""Characters that the server accepts in no path."""


def _path(*parts: str | int, **query: Parameter) -> str:
    for part in map(str, parts):
        if part in ("", ".", "..") or _NOT_IN_NAMES.search(part):
            what = "event type or id" if parts[0] == "events" else "id or name"
            raise NotFound(f"{part[:100]!r} is not an {what}")
    path = "/v1/" + "/".join(quote(str(part), safe="") for part in parts)
    given = {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in query.items()
        if value is not None and value is not False and value != ()
    }
    return f"{path}?{urlencode(given, doseq=True)}" if given else path


def _get(kind: type[T], *parts: str | int, **query: Parameter) -> Call[T]:
    return Call("GET", _path(*parts, **query), _to(kind))


def _send(
    method: Method,
    decode: Callable[[object], T],
    *parts: str | int,
    fields: Mapping[str, object] | None = None,
    **query: Parameter,
) -> Call[T]:
    if fields is None:
        return Call(method, _path(*parts, **query), decode)
    return Call(method, _path(*parts, **query), decode, msgspec.json.encode(fields), _JSON)


def _given(**fields: object) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}


# Hooks


def list_hooks(
    account: int | None, *, q: str | None = None, **window: Unpack[Window]
) -> Call[Page[Hook]]:
    """List hooks; ``q`` is a filter."""
    return _get(Page[Hook], "hooks", account=account, q=q, **window)


def get_hook(hook: int, *, account: int | None = None) -> Call[Hook]:
    """Read one hook."""
    return _get(Hook, "hooks", hook, account=account)


def hook_health(hook: int, *, hours: int = 24, account: int | None = None) -> Call[HookHealth]:
    """Read a hook's health over the last hours."""
    return _get(HookHealth, "hooks", hook, "health", hours=hours, account=account)


def dry_run(account: int | None, fields: Mapping[str, object]) -> Call[DryRun]:
    """Try ``events`` and ``filter`` of a new hook, or of ``hook``, on the latest events."""
    return _send("POST", _to(DryRun), "hooks", "dry-run", fields=fields, account=account)


def create_hook(account: int | None, fields: Mapping[str, object]) -> Call[CreatedHook]:
    """Create a hook from the writable fields of the hook object, including ``secret``."""
    return _send("POST", _to(CreatedHook), "hooks", fields=fields, account=account)


def edit_hook(
    hook: int, fields: Mapping[str, object], *, account: int | None = None
) -> Call[ChangedHook]:
    """Change fields of a hook; with ``version`` only if the hook is still at that version."""
    return _send("PATCH", _to(ChangedHook), "hooks", hook, fields=fields, account=account)


def delete_hook(hook: int, *, account: int | None = None) -> Call[None]:
    """Delete a hook and cancel its open deliveries."""
    return _send("DELETE", _nothing, "hooks", hook, account=account)


def ping_hook(hook: int, *, account: int | None = None) -> Call[DeliveryDetail]:
    """Send a test delivery and wait for its one attempt."""
    path = _path("hooks", hook, "ping", account=account)
    return Call("POST", path, _pinged, timeout_s=PING_TIMEOUT_S)


def diagnose_hook(hook: int, *, account: int | None = None) -> Call[Diagnosis]:
    """Check a hook's receiver step by step, ping it, and return a verdict."""
    path = _path("hooks", hook, "diagnose", account=account)
    return Call("POST", path, _to(Diagnosis), timeout_s=DIAGNOSIS_TIMEOUT_S)


def follow_diagnosis(hook: int, *, account: int | None = None) -> Call[DiagnosisLine]:
    """Do the same with progress: for ``lines`` of a client, which yields each step."""
    path = _path("hooks", hook, "diagnose", account=account)
    accept = {"Accept": LINES}
    return Call("POST", path, _to(DiagnosisLine), None, accept, DIAGNOSIS_TIMEOUT_S)


class _Pinged(msgspec.Struct):
    delivery: DeliveryDetail


def _pinged(answer: object) -> DeliveryDetail:
    return msgspec.convert(answer, _Pinged).delivery


def hook_secrets(hook: int, *, account: int | None = None) -> Call[Secrets]:
    """Read a hook's live secrets; the server audits it."""
    return _get(Secrets, "hooks", hook, "secret", account=account)


def rotate_secret(
    hook: int,
    *,
    secret: str | None = None,
    overlap_s: float | None = None,
    account: int | None = None,
) -> Call[Secrets]:
    """Give a hook a new secret (generated by default); both sign during the overlap."""
    fields = _given(secret=secret, overlap_s=overlap_s)
    parts = ("hooks", hook, "secret", "rotate")
    return _send("POST", _to(Secrets), *parts, fields=fields, account=account)


def finish_rotation(hook: int, *, account: int | None = None) -> Call[Secrets]:
    """End the overlap of a rotation now."""
    return _send("POST", _to(Secrets), "hooks", hook, "secret", "finish", account=account)


# Events


def send_event(
    account: int | None, event_type: str, body: bytes, *, key: str | None = None
) -> Call[AcceptedEvent]:
    """Send one event; receivers get ``body`` unchanged.

    Raises:
        Refused: the key cannot be a header value.
    """
    headers = _JSON | _with_key(key)
    path = _path("events", event_type, account=account)
    return Call("POST", path, _to(AcceptedEvent), body, headers)


def _with_key(key: str | None) -> dict[str, str]:
    if key is None:
        return {}
    if not key.isprintable():
        raise Refused.field("/key", "key contains control characters; use printable ones")
    return {"Idempotency-Key": key.encode("utf-8", "replace").decode("latin-1")}


def send_many(account: int | None, lines: bytes) -> Call[AcceptedEvents]:
    """Send up to 1,000 events as NDJSON lines ``{"type", "data", "key"?}``, all or nothing."""
    return Call("POST", _path("events", account=account), _to(AcceptedEvents), lines, _NDJSON)


def list_events(
    account: int | None,
    *,
    q: str | None = None,
    event_type: str | None = None,
    **window: Unpack[Window],
) -> Call[Page[Event]]:
    """List events; ``q`` is a filter, ``event_type`` narrows to a type or a group."""
    return _get(Page[Event], "events", account=account, q=q, type=event_type, **window)


def get_event(event: str, *, account: int | None = None) -> Call[EventDetail]:
    """Read an event with its body, deliveries and skips."""
    return _get(EventDetail, "events", event, account=account)


def event_decisions(
    event: str,
    *,
    concerned: bool | None = None,
    account: int | None = None,
    **window: Unpack[Window],
) -> Call[Page[HookDecision]]:
    """List the outcome of an event for each hook.

    ``concerned``: True: only hooks that subscribed to it; False: only others; None: all.
    """
    concerned_text = None if concerned is None else str(concerned).lower()
    parts = ("events", event, "decisions")
    return _get(Page[HookDecision], *parts, account=account, concerned=concerned_text, **window)


def event_types() -> Call[Catalogue]:
    """Read the catalogue of event types."""
    return _get(Catalogue, "event-types")


# Deliveries


def list_deliveries(
    account: int | None,
    *,
    q: str | None = None,
    hook: int | None = None,
    event: str | None = None,
    status: str | None = None,
    **window: Unpack[Window],
) -> Call[Page[Delivery]]:
    """List deliveries; ``q`` is a filter, the others narrow to one value each."""
    narrow = {"hook": hook, "event": event, "status": status}
    return _get(Page[Delivery], "deliveries", account=account, q=q, **narrow, **window)


def get_delivery(delivery: str, *, account: int | None = None) -> Call[DeliveryDetail]:
    """Read a delivery with its attempts, its request and the string signed."""
    return _get(DeliveryDetail, "deliveries", delivery, account=account)


def resend_delivery(delivery: str, *, account: int | None = None) -> Call[Delivery]:
    """Send again: a final delivery as a new one, a pending or held one immediately."""
    return _send("POST", _to(Delivery), "deliveries", delivery, "resend", account=account)


def cancel_delivery(delivery: str, *, account: int | None = None) -> Call[Delivery]:
    """Cancel a pending or held delivery."""
    return _send("POST", _to(Delivery), "deliveries", delivery, "cancel", account=account)


# Undelivered events


def list_undelivered(
    account: int | None,
    *,
    hooks: Sequence[int] = (),
    cause: str | None = None,
    state: str | None = None,
    **window: Unpack[Window],
) -> Call[UndeliveredPage]:
    """List undelivered events by hook and cause; the others narrow the list."""
    narrow = {"hook": tuple(hooks), "cause": cause, "state": state}
    return _get(UndeliveredPage, "undelivered", account=account, **narrow, **window)


def acknowledge_undelivered(
    hook: int, cause: str, *, account: int | None = None
) -> Call[ChangedGroup]:
    """Acknowledge a group of undelivered events."""
    path = ("undelivered", hook, cause, "acknowledge")
    return _send("POST", _to(ChangedGroup), *path, account=account)


def snooze_undelivered(
    hook: int, cause: str, for_s: float, *, account: int | None = None
) -> Call[ChangedGroup]:
    """Snooze a group of undelivered events."""
    path = ("undelivered", hook, cause, "snooze")
    fields = {"for_s": for_s}
    return _send("POST", _to(ChangedGroup), *path, fields=fields, account=account)


def give_up_undelivered(
    hook: int, cause: str, until: str, after: str | None = None, *, account: int | None = None
) -> Call[GaveUp]:
    """Give up events that were created up to a time; repeat with ``after`` until it is complete."""
    fields = _given(until=until, after=after)
    path = ("undelivered", hook, cause, "give-up")
    return _send("POST", _to(GaveUp), *path, fields=fields, account=account)


def cancel_many(
    q: str, until: str, after: str | None = None, *, account: int | None = None
) -> Call[CancelledMany]:
    """Cancel deliveries that match a filter; repeat with ``after`` until it is complete."""
    fields = _given(q=q, until=until, after=after)
    return _send("POST", _to(CancelledMany), "deliveries", "cancel", fields=fields, account=account)


# Replays


def plan_replay(
    account: int | None,
    selection: ReplaySelection,
    *,
    rate_per_s: float | None = None,
    after: str | None = None,
) -> Call[ReplayPlan]:
    """Count what a replay would send; repeat with ``after`` until it is complete."""
    fields = _given(selection=selection, rate_per_s=rate_per_s, after=after)
    return _send("POST", _to(ReplayPlan), "replays", "plan", fields=fields, account=account)


def create_replay(
    account: int | None,
    selection: ReplaySelection,
    *,
    rate_per_s: float | None = None,
    max_deliveries: int | None = None,
    key: str | None = None,
) -> Call[Replay]:
    """Start a replay; ``key`` makes a repeated call return the same one."""
    fields = _given(selection=selection, rate_per_s=rate_per_s, max_deliveries=max_deliveries)
    headers = _JSON | _with_key(key)
    path = _path("replays", account=account)
    return Call("POST", path, _to(Replay), msgspec.json.encode(fields), headers)


def list_replays(
    account: int | None,
    *,
    state: str | None = None,
    hook: int | None = None,
    **window: Unpack[Window],
) -> Call[Page[Replay]]:
    """List replays, newest first."""
    return _get(Page[Replay], "replays", account=account, state=state, hook=hook, **window)


def get_replay(replay: str, *, account: int | None = None) -> Call[Replay]:
    """Read one replay."""
    return _get(Replay, "replays", replay, account=account)


def change_replay_rate(
    replay: str, rate_per_s: float, *, account: int | None = None
) -> Call[Replay]:
    """Change the rate of an unfinished replay."""
    fields = {"rate_per_s": rate_per_s}
    return _send("PATCH", _to(Replay), "replays", replay, fields=fields, account=account)


def pause_replay(replay: str, *, account: int | None = None) -> Call[Replay]:
    """Pause a running replay."""
    return _send("POST", _to(Replay), "replays", replay, "pause", account=account)


def resume_replay(replay: str, *, account: int | None = None) -> Call[Replay]:
    """Resume a paused replay."""
    return _send("POST", _to(Replay), "replays", replay, "resume", account=account)


def abort_replay(
    replay: str, *, cancel_waiting: bool = False, account: int | None = None
) -> Call[Replay]:
    """Abort an unfinished replay; ``cancel_waiting`` also cancels its pending deliveries."""
    fields = {"cancel_waiting": cancel_waiting}
    parts = ("replays", replay, "abort")
    return _send("POST", _to(Replay), *parts, fields=fields, account=account)


# Accounts, tokens, the server itself


def list_accounts(**window: Unpack[Window]) -> Call[Page[Account]]:
    """List accounts."""
    return _get(Page[Account], "accounts", **window)


def create_account(name: str) -> Call[Account]:
    """Create an account."""
    return _send("POST", _to(Account), "accounts", fields={"name": name})


def list_tokens(account: int | None = None, **window: Unpack[Window]) -> Call[Page[Token]]:
    """List tokens, without the tokens themselves."""
    return _get(Page[Token], "tokens", account=account, **window)


def create_token(fields: Mapping[str, object]) -> Call[Token]:
    """Create a token from ``name``, ``role``, ``account`` and ``expires_at``; it is shown once."""
    return _send("POST", _to(Token), "tokens", fields=fields)


def revoke_token(token: int) -> Call[None]:
    """Revoke a token."""
    return _send("DELETE", _nothing, "tokens", token)


def list_audit(
    account: int | None = None,
    *,
    user: str | None = None,
    action: str | None = None,
    target: str | None = None,
    result: str | None = None,
    since: str | None = None,
    until: str | None = None,
    **window: Unpack[Window],
) -> Call[Page[AuditEntry]]:
    """List audit entries; a trailing ``*`` in a text matches any rest."""
    narrow = {"user": user, "action": action, "target": target, "result": result}
    times = {"since": since, "until": until}
    return _get(Page[AuditEntry], "audit", account=account, **narrow, **times, **window)


def verify_audit(after: int = 0, known: str | None = None) -> Call[AuditCheck]:
    """Verify a part of the trail; repeat with ``next``. ``known`` is an expected ``ID:HASH``."""
    return _get(AuditCheck, "audit", "verify", after=after, known=known)


def server_status(account: int | None = None) -> Call[ServerStatus]:
    """Read the status of the server."""
    return _get(ServerStatus, "status", account=account)


def pause() -> Call[EngineState]:
    """Stop all sending except pings at every server of the installation."""
    return _send("POST", _to(EngineState), "engine", "pause")


def resume() -> Call[EngineState]:
    """Resume sending."""
    return _send("POST", _to(EngineState), "engine", "resume")


def purge(older_than: str, after: str | None = None, *, account: int | None = None) -> Call[Purge]:
    """Delete events older than ``30d`` (or a time); repeat with ``after`` until it is complete."""
    fields = _given(older_than=older_than, after=after)
    return _send("POST", _to(Purge), "purge", fields=fields, account=account)


def backup() -> Call[None]:
    """Copy the database and send the copy: for ``download`` of a client."""
    accept = {"Accept": "application/vnd.sqlite3, application/json"}
    return Call("POST", "/v1/backup", _nothing, None, accept, BACKUP_TIMEOUT_S)


def checkup() -> Call[DoctorReport]:
    """Check disk, database, clock and files at the server."""
    return Call("GET", "/v1/doctor", _to(DoctorReport), timeout_s=CHECKUP_TIMEOUT_S)


def list_keys() -> Call[Keys]:
    """List the keys that encrypt secrets, by their ids."""
    return Call("GET", "/v1/keys", _to(Keys))


def rotate_keys(*, keep_old: bool = False) -> Call[KeyRotation]:
    """Encrypt all values with a new key; repeat while something is ``left``."""
    return _send("POST", _to(KeyRotation), "keys", "rotate", fields={"keep_old": keep_old})


def follow_feed(
    account: int | None,
    *,
    after: str | None = None,
    wait_s: int = 0,
    limit: int | None = None,
    q: str | None = None,
    from_end: bool = False,
    before: str | None = None,
) -> Call[FeedPage]:
    """Read changes after a position, waiting up to ``wait_s`` (at most 30) for the first.

    ``from_end`` without ``after`` returns the newest ``limit`` changes and the position after them;
    with ``before``, the newest before that position.
    """
    path = _path(
        "feed",
        account=account,
        after=after,
        before=before,
        wait=wait_s,
        limit=limit,
        q=q,
        from_end=from_end,
    )
    return Call("GET", path, decode_page, timeout_s=USUAL_TIMEOUT_S + wait_s)


# Alerts


def list_alerts(
    account: int | None,
    *,
    state: str | None = None,
    kind: str | None = None,
    hook: int | None = None,
    key: str | None = None,
    **window: Unpack[Window],
) -> Call[Page[Alert]]:
    """List alerts, by default those that are not resolved; ``kind`` is their type."""
    narrow = {"state": state, "type": kind, "hook": hook, "key": key}
    return _get(Page[Alert], "alerts", account=account, **narrow, **window)


def get_alert(alert: str, *, account: int | None = None) -> Call[Alert]:
    """Read one alert."""
    return _get(Alert, "alerts", alert, account=account)


def acknowledge_alert(alert: str, *, account: int | None = None) -> Call[Alert]:
    """Acknowledge an alert: only its end is announced."""
    return _send("POST", _to(Alert), "alerts", alert, "acknowledge", account=account)


def snooze_alert(alert: str, for_s: float, *, account: int | None = None) -> Call[Alert]:
    """Snooze an alert: it is open, and announced, again after a time."""
    fields = {"for_s": for_s}
    return _send("POST", _to(Alert), "alerts", alert, "snooze", fields=fields, account=account)


# Health


def healthy() -> Call[None]:
    """Check whether a server is alive; needs no token."""
    return Call("GET", "/healthz", _nothing, timeout_s=5.0)
