"""Hooks in memory: one call makes one, with the fields that a test is about."""

from __future__ import annotations

from hooktui.domain.addresses import ParsedUrl, parse_url
from hooktui.domain.filters.parser import parse_hook_filter
from hooktui.domain.hook_settings import HookSettings
from hooktui.domain.ids import AccountId, HookId
from hooktui.domain.live_hook import LiveHook, LiveSecret


def live_hook(
    number: int = 1,
    *,
    account: int = 1,
    version: int = 1,
    secrets: tuple[LiveSecret, ...] = (),
    target: ParsedUrl | None = None,
    **settings: object,
) -> LiveHook:
    url = "http://127.0.0.1/in" if target is None else target.url
    made = HookSettings(**({"url": url, "events": ("job",)} | settings))
    return LiveHook(
        id=HookId(number),
        account=AccountId(account),
        version=version,
        settings=made,
        target=target or parse_url(made.url),
        subscriptions=frozenset(made.events),
        filter=None if made.filter is None else parse_hook_filter(made.filter),
        secrets=secrets,
    )
