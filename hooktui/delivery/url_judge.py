"""Where a hook's URL leads, looked at once when the hook is saved; each connect looks again."""

from __future__ import annotations

from hooktui.delivery.resolver import Address, NameLookupError, Resolver
from hooktui.delivery.shortage import MachineShort
from hooktui.domain.addresses import Networks, how_to_allow, judge, parse_url
from hooktui.domain.errors import Refused

LOOKUP_S = 2.0
"""How long saving a hook waits for a name to resolve."""


class UrlJudge:
    """Judges URLs for one server.

    Args:
        allowed: networks that hooks may reach although they are not public.
        resolver: looks names up.
    """

    def __init__(self, allowed: Networks, resolver: Resolver) -> None:
        self._allowed = allowed
        self._resolver = resolver

    async def __call__(self, url: str) -> str | None:
        """Return None, or a warning when the name leads nowhere at the moment.

        Raises:
            Refused: the URL leads to an address that hooks may not reach.
        """
        target = parse_url(url)
        addresses: tuple[Address, ...]
        if target.literal is not None:
            addresses = (target.literal,)
        else:
            try:
                addresses = await self._resolver.resolve(self, target.host, target.port, LOOKUP_S)
            except (NameLookupError, MachineShort) as error:
                return f"{error}; the hook is saved, and each delivery looks again"
        for address in addresses:
            reason = judge(address, self._allowed)
            if reason is not None:
                way_out = how_to_allow(address, self._allowed)
                detail = f"hooks may not connect to {target.host}: {reason}. {way_out}"
                raise Refused.field("/url", detail)
        return None
