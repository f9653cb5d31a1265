"""The steps of every request before its route: host, route, caller, role, rate, body.

Denials are audited: a role that does not allow a call, a request for more than the caller's role, a
caller without a role, and unknown tokens.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Container
from typing import Final
from urllib.parse import unquote_to_bytes

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hooktui.api.access import Caller, Rule, find_rule
from hooktui.api.bodies import NO_ROOM, checked_json, share_of
from hooktui.api.connection_limiter import ConnectionSlot
from hooktui.api.identity import Identity, claimed_token
from hooktui.api.ingest import ONE, Ingest
from hooktui.api.limits import UNKNOWN_CALLERS, USERS, DenialLog, DenialQuota, RateLimiter
from hooktui.api.peer_credentials import PeerCredentials
from hooktui.api.responses import problem, shortage_problem, unexpected
from hooktui.api.service import Service
from hooktui.domain.errors import HooktuiError, Malformed, NotAllowed, Unauthenticated, Unavailable
from hooktui.domain.roles import Actor, Need, require
from hooktui.domain.text import visible
from hooktui.loop_watch import WATCH, Timed
from hooktui.slices import LoopTurns
from hooktui.store.tx import Tx

_log = logging.getLogger(__name__)
_SAFE_FETCH_SITES = (b"none", b"same-origin")
_DENIALS = (Unauthenticated.status, NotAllowed.status)
CALLS_A_PASS: Final = 4
"""Calls that begin in one pass of the event loop; each takes about 1 ms of it. 500 calls of one
caller would make a pass of 0.4 s. Single events are short and begin at once."""
_CONDITIONS: Final = (b"if-match", b"if-none-match", b"if-unmodified-since")
_ALIVE: Final = "/healthz"
"""Takes no turns: it is short, and shows whether the event loop runs."""
# RFC 3986, 2.4: unreserved characters never need an escape; some programs treat "/" and "\" as
# separators before decoding and some after it.
_ESCAPED: Final = re.compile(
    rb"%(?:2[fF]|5[cC]|2[dDeE]|3[0-9]|4[1-9a-fA-F]|5[0-9aAfF]|6[1-9a-fA-F]|7[0-9aAeE])"
)
_CONTROL: Final = re.compile(rb"%(?:[01][0-9a-fA-F]|7[fF])")
_NO_ESCAPE: Final = re.compile(rb"%(?![0-9a-fA-F]{2})")


class RequestPipeline:
    """Runs each request through the steps, then its route; responds itself if a step fails."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._ingest: ASGIApp = Ingest(service)
        self._service = service
        self._bodies = service.unsent.bodies
        self._identity = Identity(service)
        self._rate = RateLimiter(service.limits.calls_per_s, "calls", "HOOKTUI_CALLS_PER_S")
        self._turns = LoopTurns(CALLS_A_PASS)
        self._denials = DenialAudit(service, self._identity)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to one request."""
        started = False

        async def respond(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                if message["status"] in _DENIALS:
                    await self._denials.record(scope, message["status"])
            await send(message)

        try:
            await self._handle(scope, receive, respond)
        except HooktuiError as error:
            await problem(error)(scope, receive, respond)
        except ClientDisconnect:
            _log.debug("%s: the client disconnected", _request(scope))
        except Exception as error:
            short = shortage_problem(error)
            if short is None:
                _log.exception("error while handling %s", _request(scope))
            if not started:
                await (unexpected() if short is None else problem(short))(scope, receive, send)
        finally:
            self._bodies.release(scope)

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        check_host(scope, self._service.hosts)
        check_path(scope["raw_path"])
        check_query(scope["query_string"])
        rule = scope["rule"] = find_rule(scope["method"], scope["path"])
        caller = await self._identify(scope, rule)
        if caller is not None:
            authorize(caller, rule)
            if self._bodies.is_full and not caller.is_owner:
                raise Unavailable(NO_ROOM)
        if rule.need is Need.PRODUCE:
            response = self._ingest(scope, receive, send)
            # A single event is the most frequent call and little work.
            await (response if rule.path == ONE else Timed(response, _note_hold, rule))
            return
        if caller is not None:
            self._rate.take(caller)
        if rule.path != _ALIVE:
            await self._turns.enter(share_of(scope))
        if rule.has_body:
            check_conditions(scope)
            receive = await checked_json(scope, receive, self._bodies)
        # The method differs only for HEAD, whose response loses its body later.
        response = self._app({**scope, "method": rule.method}, receive, send)
        await Timed(response, _note_hold, rule)

    async def _identify(self, scope: Scope, rule: Rule) -> Caller | None:
        """Return the caller in the role that the request asks for; None: the call is open to all.

        Keep it in ``scope["caller"]``.

        Raises:
            Unauthenticated: the token is missing or not valid.
            NotAllowed: the caller has no role, or asks for more than it has.
            TooManyRequests: this caller holds too many connections.
        """
        if rule.need is None:
            return None
        peer = _peer(scope)
        if peer is not None:
            caller = await self._identity.by_peer(peer)
        else:
            caller = await self._by_token(scope)
        scope["caller"] = caller  # a denial of the role names it, too
        caller = scope["caller"] = caller.lowered(_header(scope, b"hooktui-role"))
        return caller

    async def _by_token(self, scope: Scope) -> Caller:
        slot: ConnectionSlot = scope["state"]["slot"]
        try:
            authorization = _header(scope, b"authorization") or ""
            caller = await self._identity.by_token(authorization, _address(scope))
        except Unauthenticated:
            slot.forget()
            raise
        slot.know(caller.share)
        return caller


def _note_hold(seconds: float, rule: Rule) -> None:
    WATCH.note(seconds, f"{rule.method} {rule.path}")


def check_host(scope: Scope, hosts: Container[str]) -> None:
    """Check that a request comes from no web page and, over TCP, names a host of this server.

    A page in the browser of a user who can reach the server must not act in that user's name.

    Raises:
        NotAllowed: it comes from a web page, or names another host.
    """
    for name, value in scope["headers"]:
        if name == b"origin" or (name == b"sec-fetch-site" and value not in _SAFE_FETCH_SITES):
            raise NotAllowed("requests from web pages are not allowed")
    if _peer(scope) is not None:
        return
    value = _header(scope, b"host")
    if not value:  # HTTP/1.0 allows that
        raise NotAllowed("the request names no host; send a Host header")
    name = value.lower()
    host, colon, port = name.rpartition(":")
    if (host if colon and port.isdigit() else name) not in hosts:
        raise NotAllowed(
            f"this server does not serve the host {value[:100]!r}; its admin can add it"
            " to HOOKTUI_HOSTS"
        )


def check_path(raw: bytes) -> None:
    """Check that all programs decode a path alike: a proxy in front may authorize by path.

    Encoded separators and letters, dot segments, and invalid escapes are ambiguous.

    Args:
        raw: the path as it was sent, without the query.

    Raises:
        Malformed: it is ambiguous; names the spelling.
    """
    if b"%" not in raw and b"\\" not in raw and b"/." not in b"/" + raw:
        return  # nearly all paths
    if b"%" in raw:
        for pattern, wrong in (
            (_ESCAPED, "hides a character that needs no escape; write the path out"),
            (_CONTROL, "is a control character"),
            (_NO_ESCAPE, "is not a percent-escape; write % as %25"),
        ):
            match = pattern.search(raw)
            if match is not None:
                spelling = raw[match.start() : match.start() + 3].decode("latin-1")
                raise Malformed(f"the path is not accepted: {spelling!r} {wrong}")
    if b"\\" in raw:
        raise Malformed("the path is not accepted: it contains a backslash; separate with /")
    if b"." in raw and not {b".", b".."}.isdisjoint(raw.split(b"/")):
        raise Malformed("the path is not accepted: it has . or .. segments; write it out")


def check_query(raw: bytes) -> None:
    """Check that a query is UTF-8: a text of which a part is replaced would find nothing.

    Raises:
        Malformed: it is not.
    """
    if b"%" in raw:
        try:
            unquote_to_bytes(raw).decode("utf-8")
        except UnicodeDecodeError:
            raise Malformed("the query is not UTF-8; escape ä, for example, as %C3%A4") from None


def check_conditions(scope: Scope) -> None:
    """Check that a change has no condition in its headers: it would be done without it.

    Raises:
        Malformed: it has one.
    """
    for name, _ in scope["headers"]:
        if name in _CONDITIONS:
            raise Malformed(
                f"the header {name.decode('ascii')} is not supported; to edit a hook only if it is"
                " unchanged, send the version that you read as the field version"
            )


def authorize(caller: Caller, rule: Rule) -> None:
    """Check that a caller may make a call.

    Raises:
        NotAllowed: its role does not allow it, or its token is bound to an account.
    """
    if rule.need is not None:
        require(caller.role, rule.need)
    if rule.all_accounts and caller.bound_to is not None:
        raise NotAllowed(
            f"this token is bound to account {caller.bound_to}, and this call is about all"
        )


class DenialAudit:
    """Logs denials, and records those of calls that exist in the audit trail."""

    def __init__(self, service: Service, identity: Identity) -> None:
        self._service = service
        self._identity = identity
        self._admitted = DenialLog()

    async def record(self, scope: Scope, status: int) -> None:
        """Record a denial before its response is sent."""
        known: Caller | None = scope.get("caller")
        _log.info(
            "refused status=%d request=%s user=%s from=%s",
            status,
            _request(scope),
            known.user if known else "?",
            _peer(scope) or scope.get("client"),
        )
        if scope.get("rule") is None:
            return
        actor, quota, user = await self._denied(scope)
        action, target = f"{scope['method']} refused", visible(scope["path"], limit=200)
        omitted = self._admitted.admit(quota, user, str(actor.role), action, target)
        if omitted is None:
            return
        details = {"refusals_before_that_are_not_listed": omitted} if omitted else None
        try:
            await self._service.store.write(
                Tx.audit, actor, action, target, after=details, result="refused"
            )
        except HooktuiError as error:  # for example a full disk; the request is still denied
            _log.warning("cannot audit that %s was refused: %s", _request(scope), error)

    async def _denied(self, scope: Scope) -> tuple[Actor, DenialQuota, str]:
        """Return the actor, its quota, and the user of that quota."""
        known: Caller | None = scope.get("caller")
        if known is not None:
            return known.actor, USERS, known.user
        peer = _peer(scope)
        if peer is not None:
            return await self._identity.unknown_peer(peer), UNKNOWN_CALLERS, f"uid {peer.uid}"
        given = (value for name, value in scope["headers"] if name == b"authorization")
        claimed = claimed_token(str(next(given, b""), "latin-1"))
        return Actor(claimed, None, f"tcp {_address(scope)}"), UNKNOWN_CALLERS, "tcp"


def _peer(scope: Scope) -> PeerCredentials | None:
    peer: PeerCredentials | None = scope["state"].get("peer")
    return peer


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else "?"


def _header(scope: Scope, searched: bytes) -> str | None:
    """Return a header that a request may have once.

    Raises:
        Malformed: it is there twice, so that a proxy and this server may read different ones.
    """
    found = [value for name, value in scope["headers"] if name == searched]
    if len(found) > 1:
        raise Malformed(f"the header {searched.decode('ascii')} is there twice; send it once")
    return str(found[0], "latin-1") if found else None


def _request(scope: Scope) -> str:
    return f"{scope['method']} {visible(scope['path'], limit=200)}"
