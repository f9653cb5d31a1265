"""The permissions of all routes in one table, and the caller's role.

A route that is not in the table cannot be reached. On the Unix socket the kernel identifies the
caller; on TCP a token does. A request may lower its role, never raise it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from starlette.requests import Request

from hooktui.api.peer_credentials import PeerCredentials, origin_of
from hooktui.api.responses import MethodNotAllowed
from hooktui.domain.errors import Malformed, NotAllowed, NotFound
from hooktui.domain.ids import AccountId
from hooktui.domain.roles import Actor, Need, Role, lower

DEFAULT_ACCOUNT = AccountId(1)


@dataclass(frozen=True, slots=True)
class Rule:
    """The permissions that one route requires.

    ``need`` is what the caller's role must allow; None: open to all, also without a token.
    ``all_accounts``: it concerns more than one account; not for tokens that are bound to one.
    """

    method: str
    path: str
    need: Need | None
    all_accounts: bool = False

    @property
    def has_body(self) -> bool:
        """Whether a body of its requests is read; that of a deletion may have no fields."""
        return self.method in ("POST", "PATCH", "DELETE")


RULES: Final = (
    Rule("GET", "/healthz", None),
    Rule("GET", "/readyz", None),
    Rule("GET", "/metrics", Need.READ, all_accounts=True),
    Rule("GET", "/openapi.json", None),
    Rule("GET", "/docs", None),
    Rule("GET", "/v1/accounts", Need.READ),
    Rule("POST", "/v1/accounts", Need.ADMINISTER, all_accounts=True),
    Rule("POST", "/v1/events/{event}", Need.PRODUCE),
    Rule("POST", "/v1/events", Need.PRODUCE),
    Rule("GET", "/v1/events", Need.READ),
    Rule("GET", "/v1/events/{event}", Need.READ),
    Rule("GET", "/v1/events/{event}/decisions", Need.READ),
    Rule("GET", "/v1/event-types", Need.READ),
    Rule("GET", "/v1/hooks", Need.READ),
    Rule("POST", "/v1/hooks", Need.ADMINISTER),
    # Changes nothing, and returns no more than the events themselves.
    Rule("POST", "/v1/hooks/dry-run", Need.READ),
    Rule("GET", "/v1/hooks/{hook}", Need.READ),
    # An operator may change ``active`` only; the route checks the other fields.
    Rule("PATCH", "/v1/hooks/{hook}", Need.OPERATE),
    Rule("DELETE", "/v1/hooks/{hook}", Need.ADMINISTER),
    Rule("GET", "/v1/hooks/{hook}/health", Need.READ),
    Rule("POST", "/v1/hooks/{hook}/ping", Need.OPERATE),
    Rule("POST", "/v1/hooks/{hook}/diagnose", Need.OPERATE),
    Rule("GET", "/v1/hooks/{hook}/secret", Need.ADMINISTER),
    Rule("POST", "/v1/hooks/{hook}/secret/rotate", Need.ADMINISTER),
    Rule("POST", "/v1/hooks/{hook}/secret/finish", Need.ADMINISTER),
    Rule("GET", "/v1/deliveries", Need.READ),
    Rule("GET", "/v1/deliveries/{delivery}", Need.READ),
    Rule("POST", "/v1/deliveries/{delivery}/resend", Need.OPERATE),
    Rule("POST", "/v1/deliveries/{delivery}/cancel", Need.OPERATE),
    Rule("POST", "/v1/deliveries/cancel", Need.OPERATE),
    Rule("GET", "/v1/undelivered", Need.READ),
    Rule("POST", "/v1/undelivered/{hook}/{cause}/give-up", Need.OPERATE),
    Rule("GET", "/v1/tokens", Need.ADMINISTER),
    Rule("POST", "/v1/tokens", Need.ADMINISTER),
    Rule("DELETE", "/v1/tokens/{token}", Need.ADMINISTER),
    Rule("GET", "/v1/audit", Need.READ),
    # Concerns all accounts, and reads the whole trail.
    Rule("GET", "/v1/audit/verify", Need.ADMINISTER, all_accounts=True),
    Rule("GET", "/v1/feed", Need.READ),
    Rule("GET", "/v1/status", Need.READ),
    # An operator could also disable every hook, which loses more: events would be skipped.
    Rule("POST", "/v1/engine/pause", Need.OPERATE, all_accounts=True),
    Rule("POST", "/v1/engine/resume", Need.OPERATE, all_accounts=True),
    Rule("POST", "/v1/purge", Need.ADMINISTER, all_accounts=True),
    Rule("GET", "/v1/doctor", Need.ADMINISTER, all_accounts=True),
    Rule("GET", "/v1/keys", Need.ADMINISTER, all_accounts=True),
    Rule("POST", "/v1/keys/rotate", Need.ADMINISTER, all_accounts=True),
    Rule("GET", "/v1/replays", Need.READ),
    Rule("POST", "/v1/replays", Need.OPERATE),
    # Changes nothing.
    Rule("POST", "/v1/replays/plan", Need.READ),
    Rule("GET", "/v1/replays/{replay}", Need.READ),
    Rule("PATCH", "/v1/replays/{replay}", Need.OPERATE),
    Rule("POST", "/v1/replays/{replay}/pause", Need.OPERATE),
    Rule("POST", "/v1/replays/{replay}/resume", Need.OPERATE),
    Rule("POST", "/v1/replays/{replay}/abort", Need.OPERATE),
    # Over the Unix socket only: the route checks that.
    Rule("POST", "/v1/backup", Need.ADMINISTER, all_accounts=True),
    Rule("GET", "/v1/alerts", Need.READ),
    Rule("GET", "/v1/alerts/{alert}", Need.READ),
    Rule("POST", "/v1/alerts/{alert}/acknowledge", Need.OPERATE),
    Rule("POST", "/v1/alerts/{alert}/snooze", Need.OPERATE),
    Rule("POST", "/v1/undelivered/{hook}/{cause}/acknowledge", Need.OPERATE),
    Rule("POST", "/v1/undelivered/{hook}/{cause}/snooze", Need.OPERATE),
)

_METHODS: Final[dict[str, dict[str, Rule]]] = {}
"""The rules of each path, by method."""
for _rule in RULES:
    _METHODS.setdefault(_rule.path, {})[_rule.method] = _rule
_TEMPLATES: Final = [(path.split("/"), rules) for path, rules in _METHODS.items() if "{" in path]

_MAX_MATCHED, _SHORT_PATH = 1_000, 100
"""Number and length of paths that are cached with their templates: a producer sends to a few again
and again, and unknown callers send any path.
"""


def find_rule(method: str, path: str) -> Rule:
    """Return the rule for a request.

    Raises:
        NotFound: no route has this path.
        MethodNotAllowed: the route has other methods.
    """
    match = _match if len(path) > _SHORT_PATH else _match_short
    methods = _METHODS.get(path) or match(path)
    if methods is None:
        raise NotFound(f"there is nothing at {path[:200]}; /openapi.json lists all paths")
    # HEAD is GET without the body (RFC 9110, 9.3.2).
    rule = methods.get("GET" if method == "HEAD" else method)
    if rule is None:
        allowed = {*methods, "HEAD"} if "GET" in methods else set(methods)
        raise MethodNotAllowed(method, path[:200], sorted(allowed))
    return rule


def _match(path: str) -> Mapping[str, Rule] | None:
    parts = path.split("/")
    for template, methods in _TEMPLATES:
        if len(template) == len(parts) and all(
            t == p or (p and t[:1] == "{") for t, p in zip(template, parts, strict=True)
        ):
            return methods
    return None


_match_short = lru_cache(_MAX_MATCHED)(_match)


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller of a request.

    Attributes:
        user: a user's name, or the token's.
        role: the role in which this request acts.
        bound_to: the only account that it may access; None: all.
        peer: the process at the other end of the Unix socket.
        address: the remote address of a TCP connection.
    """

    user: str
    role: Role
    bound_to: AccountId | None = None
    peer: PeerCredentials | None = None
    address: str = ""

    @property
    def is_owner(self) -> bool:
        """Whether the caller is root or the server's owner, on the Unix socket."""
        return self.peer is not None and self.peer.is_owner

    @property
    def share(self) -> str:
        """The owner of its share of the server: the tokens bound to one account have one share."""
        return self.user if self.bound_to is None else f"account {self.bound_to}"

    @property
    def actor(self) -> Actor:
        """The caller as the audit trail names it."""
        origin = origin_of(self.peer) if self.peer else f"tcp {self.address}"
        return Actor(self.user, self.role, origin)

    def lowered(self, requested: str | None) -> Caller:
        """Return the caller in the requested role (``Hooktui-Role``).

        Raises:
            Malformed: there is no such role.
            NotAllowed: the role may do what the caller may not.
        """
        if requested is None:
            return self
        return replace(self, role=lower(self.role, _role(requested)))

    def account(self, number: int | None) -> AccountId:
        """Return the account of a list or a creation.

        Raises:
            NotAllowed: the token is bound to another one.
        """
        if self.bound_to is None:
            return DEFAULT_ACCOUNT if number is None else AccountId(number)
        if number is not None and number != self.bound_to:
            raise NotAllowed(
                f"this token is bound to account {self.bound_to}; it cannot access account {number}"
            )
        return self.bound_to

    def account_or_any(self, number: int | None) -> AccountId | None:
        """Return the account that a single object must be in; None: any.

        Raises:
            NotAllowed: the token is bound to another one.
        """
        return self.account(number) if number is not None else self.bound_to


def _role(name: str) -> Role:
    try:
        return Role(name.strip().lower())
    except ValueError:
        known = ", ".join(Role)
        raise Malformed(f"Hooktui-Role: unknown role {name[:40]!r}; known: {known}") from None


def caller_of(request: Request) -> Caller:
    """Return the caller of a request, as identified by the middleware."""
    caller: Caller = request.scope["caller"]
    return caller
