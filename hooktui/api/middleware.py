"""What every request passes before a route: no browsers, ``Host``, route, caller, role, rate.

Denials are audited: a role that does not allow a call, a request for more than the own role, a
caller without a role, and unknown tokens.
"""

from __future__ import annotations

import logging

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hooktui.api.access import Caller, Rule, Table
from hooktui.api.bodies import NO_ROOM, Holding, checked_json
from hooktui.api.connection_limiter import Place
from hooktui.api.identity import Identity, claimed_token
from hooktui.api.ingest import ONE
from hooktui.api.limits import UNKNOWN_CALLERS, USERS, DenialLog, DenialQuota, RateLimiter
from hooktui.api.peer_credentials import Peer
from hooktui.api.request_path import check_path
from hooktui.api.responses import out_of, problem, unexpected
from hooktui.api.service import Service
from hooktui.domain.errors import HooktuiError, NotAllowed, Unauthenticated, Unavailable
from hooktui.domain.roles import Actor, Need
from hooktui.domain.text import visible
from hooktui.loop_watch import Timed
from hooktui.store import changes

_log = logging.getLogger(__name__)
_FROM_NOWHERE = (b"none", b"same-origin")
_REFUSALS = (Unauthenticated.status, NotAllowed.status)
_WITH_BODY = ("POST", "PATCH")


class Gate:
    """Lets requests in, or answers them itself.

    Args:
        app: what comes behind.
        ingest: what takes events in; it reads bodies for itself.
        service: of this server.
        identity: finds out who calls.
        holding: the bodies that are in memory.
    """

    def __init__(
        self,
        app: ASGIApp,
        ingest: ASGIApp,
        service: Service,
        identity: Identity,
        holding: Holding,
    ) -> None:
        self._app = app
        self._ingest = ingest
        self._service = service
        self._identity = identity
        self._holding = holding
        self._rate = RateLimiter(service.limits.calls_per_s, "calls", "HOOKTUI_CALLS_PER_S")
        self._table = Table()
        self._refusals = DenialLog()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        answered = False

        async def answering(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                if message["status"] in _REFUSALS:
                    await self._note_refusal(scope, message["status"])
            await send(message)

        try:
            rule = scope["rule"] = self._rule(scope)
            caller = await self._caller(scope, rule)
            if caller is not None:
                scope["caller"] = caller
                caller = scope["caller"] = caller.lowered(_header(scope, b"hooktui-role"))
                self._check(caller, rule)
                if self._holding.is_full and not caller.is_owner:
                    raise Unavailable(NO_ROOM)
            if rule.need is Need.PRODUCE:
                answer = self._ingest(scope, receive, answering)
                # One event is little work, and the most frequent.
                await (answer if rule.path == ONE else Timed(answer, self._note_hold, rule))
                return
            if caller is not None:
                self._rate.take(caller)
            if rule.method in _WITH_BODY:
                receive = await checked_json(scope, receive, self._holding)
            # The method differs for HEAD alone, whose answer loses its body on its way out.
            answer = self._app({**scope, "method": rule.method}, receive, answering)
            await Timed(answer, self._note_hold, rule)
        except HooktuiError as error:
            await problem(error)(scope, receive, answering)
        except ClientDisconnect:
            _log.debug("%s went away", _where(scope))
        except Exception as error:
            short = out_of(error)
            if short is None:
                _log.exception("error while answering %s", _where(scope))
            if not answered:
                await (unexpected() if short is None else problem(short))(scope, receive, send)
        finally:
            self._holding.give_back(scope)

    def _note_hold(self, seconds: float, rule: Rule) -> None:
        self._service.loop_watch.note(seconds, f"{rule.method} {rule.path}")

    def _rule(self, scope: Scope) -> Rule:
        for name, value in scope["headers"]:
            # A page in the browser of somebody who may reach us must not act in their name.
            if name == b"origin" or (name == b"sec-fetch-site" and value not in _FROM_NOWHERE):
                raise NotAllowed("requests that come from a web page are not answered")
        if _peer(scope) is None:
            self._check_host(_header(scope, b"host") or "")
        check_path(scope["raw_path"])
        return self._table.find(scope["method"], scope["path"])

    def _check_host(self, value: str) -> None:
        name = value.lower()
        host, colon, port = name.rpartition(":")
        if colon and port.isdigit():
            name = host
        if name not in self._service.hosts:
            raise NotAllowed(
                f"this server does not answer for the host {value[:100]!r}; its admin can name it"
                " in HOOKTUI_HOSTS"
            )

    async def _caller(self, scope: Scope, rule: Rule) -> Caller | None:
        if rule.need is None:
            return None
        peer = _peer(scope)
        if peer is not None:
            return await self._identity.by_peer(peer)
        place: Place = scope["state"]["place"]
        try:
            authorization = _header(scope, b"authorization") or ""
            caller = await self._identity.by_token(authorization, _address(scope))
        except Unauthenticated:
            place.forget()
            raise
        place.know(caller.user)
        return caller

    def _check(self, caller: Caller, rule: Rule) -> None:
        if rule.need is not None:
            caller.require(rule.need)
        if rule.all_accounts and caller.bound_to is not None:
            raise NotAllowed(
                f"this token is bound to account {caller.bound_to}, and this call is about all"
            )

    async def _note_refusal(self, scope: Scope, status: int) -> None:
        """Log a refusal, and audit it before it is told when a call that exists was refused."""
        known: Caller | None = scope.get("caller")
        _log.info(
            "refused status=%d request=%s user=%s from=%s",
            status,
            _where(scope),
            known.user if known else "?",
            _peer(scope) or scope.get("client"),
        )
        if scope.get("rule") is None:
            return
        actor, share, whose = await self._refused(scope)
        action, target = f"{scope['method']} refused", visible(scope["path"], limit=200)
        left_out = self._refusals.admit(share, whose, str(actor.role), action, target)
        if left_out is None:
            return
        more = {"refusals_before_that_are_not_listed": left_out} if left_out else None
        change = changes.audit_refusal
        try:
            await self._service.store.write(change, actor, action, target, more)
        except HooktuiError as error:  # such as a full disk; the refusal stands all the same
            _log.warning("cannot audit that %s was refused: %s", _where(scope), error)

    async def _refused(self, scope: Scope) -> tuple[Actor, DenialQuota, str]:
        """Return who was refused, and whose share of the audit trail that takes."""
        known: Caller | None = scope.get("caller")
        if known is not None:
            return known.actor, USERS, known.user
        peer = _peer(scope)
        if peer is not None:
            return await self._identity.stranger(peer), UNKNOWN_CALLERS, f"uid {peer.uid}"
        claimed = claimed_token(_header(scope, b"authorization") or "")
        return Actor(claimed, None, f"tcp {_address(scope)}"), UNKNOWN_CALLERS, "tcp"


def _peer(scope: Scope) -> Peer | None:
    peer: Peer | None = scope["state"].get("peer")
    return peer


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else "?"


def _header(scope: Scope, wanted: bytes) -> str | None:
    for name, value in scope["headers"]:
        if name == wanted:
            return str(value, "latin-1")
    return None


def _where(scope: Scope) -> str:
    return f"{scope['method']} {visible(scope['path'], limit=200)}"
