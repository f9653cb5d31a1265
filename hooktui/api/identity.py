"""Identifies the caller of a request: the peer of a Unix socket, or the token on TCP."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import logging
import re
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING

from hooktui.api.access import Caller
from hooktui.api.peer_credentials import Names, PeerCredentials, names_of, origin_of
from hooktui.api.service import RoleMap, Service
from hooktui.domain.clock import now_ms
from hooktui.domain.errors import HooktuiError, NotAllowed, Unauthenticated
from hooktui.domain.ids import AccountId
from hooktui.domain.roles import ALLOWED, Actor, Need, Role
from hooktui.store import changes, queries

if TYPE_CHECKING:
    from hooktui.store.queries import TokenRecord

_log = logging.getLogger(__name__)

_TOKEN = re.compile(r"hkt_([1-9][0-9]{0,17})_[0-9A-Za-z_-]{16,128}")
_NAMES_KEPT_S = 30.0
# A revoked token remains valid for this long on other servers of the same database.
_TOKENS_KEPT_S = 3.0
_TOUCH_EVERY_S = 60.0
_MAX_KEPT = 1000


class RecentUses:
    """The tokens that were used in the last minute; older uses are dropped.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: dict[int, float] = {}  # the oldest first

    def __len__(self) -> int:
        return len(self._since)

    def note(self, token: int) -> bool:
        """Return whether this use is to be stored: the first one in a minute."""
        now = self._clock()
        while self._since and now - next(iter(self._since.values())) >= _TOUCH_EVERY_S:
            del self._since[next(iter(self._since))]
        if token in self._since:
            return False
        self._since[token] = now
        return True


class Identity:
    """Identifies callers; caches them briefly, since look-ups cost more than requests."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._names: dict[tuple[int, int], tuple[Names, float]] = {}
        self._peers: dict[PeerCredentials, tuple[Caller, float]] = {}
        self._tokens: dict[str, tuple[TokenRecord, float]] = {}
        self._tokens_version = service.tokens_version
        self._look_ups: dict[tuple[int, str], asyncio.Task[TokenRecord]] = {}
        self._turn_of_others = asyncio.Lock()
        self._uses = RecentUses()

    async def by_peer(self, peer: PeerCredentials) -> Caller:
        """Return the caller of a Unix socket's peer.

        Raises:
            NotAllowed: this user has no role.
        """
        known = self._peers.get(peer)
        if known is not None and known[1] > time.monotonic():
            return known[0]
        names, until_s = await self._names_of(peer)
        role = role_of(peer, names, self._service.roles)
        if role is None:
            raise NotAllowed(
                f"user {names.user} (uid {peer.uid}) has no role on this server; its admin can give"
                f' one in config.toml: [users] {names.user} = "viewer"'
            )
        caller = Caller(names.user, role, peer=peer)
        if len(self._peers) >= _MAX_KEPT:
            self._peers.clear()
        self._peers[peer] = (caller, until_s)
        return caller

    async def unknown_peer(self, peer: PeerCredentials) -> Actor:
        """Return a peer without a role as an actor of the audit trail."""
        names, _ = await self._names_of(peer)
        return Actor(names.user, None, origin_of(peer))

    async def by_token(self, authorization: str, address: str) -> Caller:
        """Return the caller that the token of an ``Authorization`` header identifies.

        Raises:
            Unauthenticated: no token, or one that is unknown, expired or revoked.
        """
        record = await self._record(_token_in(authorization))
        return Caller(
            f"token {record.id} ({record.name})",
            Role(record.role),
            bound_to=None if record.account is None else AccountId(record.account),
            address=address,
        )

    async def _names_of(self, peer: PeerCredentials) -> tuple[Names, float]:
        """Return the names of a peer, and until when they are kept."""
        key = (peer.uid, peer.gid)
        known = self._names.get(key)
        if known is None or known[1] <= time.monotonic():
            names = await asyncio.to_thread(names_of, peer)
            if len(self._names) >= _MAX_KEPT:
                self._names.clear()
            known = self._names[key] = (names, time.monotonic() + _NAMES_KEPT_S)
        return known

    async def _record(self, token: str) -> TokenRecord:
        if not _TOKEN.fullmatch(token):
            raise _unknown_token()
        digest = hashlib.sha256(token.encode("ascii")).hexdigest()
        if self._tokens_version != self._service.tokens_version:
            self._tokens.clear()
            self._tokens_version = self._service.tokens_version
        known = self._tokens.get(digest)
        if known is None or known[1] < time.monotonic():
            record = await self._look_up_once(token, digest)
        else:
            record = known[0]
        if record.expires_at_ms is not None and record.expires_at_ms <= now_ms():
            raise Unauthenticated("this token has expired; ask an admin for a new one")
        await self._touch(record)
        return record

    async def _look_up_once(self, token: str, digest: str) -> TokenRecord:
        """Look a token up, together with the other requests that wait for it."""
        key = (self._tokens_version, digest)  # it may have been revoked meanwhile
        look_up = self._look_ups.get(key)
        if look_up is None:
            look_up = self._look_ups[key] = asyncio.create_task(self._look_up(token, digest))
            look_up.add_done_callback(lambda _: self._look_ups.pop(key))
        return await asyncio.shield(look_up)

    async def _look_up(self, token: str, digest: str) -> TokenRecord:
        """Look a token up; one that was valid before waits for one other at most.

        The store makes one look-up at a time, and unknown callers send any number of tokens.
        """
        version = self._tokens_version
        number = int(token.split("_")[1])
        find = partial(queries.token_by_hash, token=number, sha256=bytes.fromhex(digest))
        async with nullcontext() if digest in self._tokens else self._turn_of_others:
            record = await self._service.store.look_up(find)
        if record is None:
            self._tokens.pop(digest, None)
            raise _unknown_token()
        if len(self._tokens) >= _MAX_KEPT:
            self._tokens.clear()
        if version == self._service.tokens_version:
            self._tokens[digest] = (record, time.monotonic() + _TOKENS_KEPT_S)
        return record

    async def _touch(self, record: TokenRecord) -> None:
        if not self._uses.note(record.id):
            return
        try:
            await self._service.store.write(changes.touch_token, record.id)
        except HooktuiError as error:  # a full disk must not block reading
            _log.warning("cannot note the use of token %d: %s", record.id, error)


def _unknown_token() -> Unauthenticated:
    return Unauthenticated("unknown or revoked token; ask an admin for a new one")


def role_of(peer: PeerCredentials, names: Names, roles: RoleMap) -> Role | None:
    """Return the highest role of a peer; root and the owner of this process are admin."""
    if peer.is_owner:
        return Role.ADMIN
    held = {roles.users[names.user]} if names.user in roles.users else set()
    held |= {roles.groups[group] for group in names.groups if group in roles.groups}
    # Viewer and producer rank equally; a peer with both is a viewer.
    return max(
        held, key=lambda role: (len(ALLOWED[role]), Need.READ in ALLOWED[role]), default=None
    )


def claimed_token(authorization: str) -> str:
    """Describe an invalid token without revealing it."""
    try:
        match = _TOKEN.fullmatch(_token_in(authorization))
    except Unauthenticated:
        return "no token"
    return f"claimed token {match[1]}" if match else "no token"


def _token_in(authorization: str) -> str:
    """Return the token of ``Bearer hkt_…`` or of ``Basic`` with the token as user name."""
    scheme, _, rest = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    if scheme.lower() == "basic":
        try:
            pair = base64.b64decode(rest.strip(), validate=True).decode("ascii")
        except (binascii.Error, ValueError):
            raise Unauthenticated("the Authorization header is not valid Basic") from None
        return pair.partition(":")[0]
    raise Unauthenticated(
        "this server requires a token: Authorization: Bearer hkt_… (create one with: hooktui tokens"
        " create)"
    )
