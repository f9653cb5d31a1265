"""The settings of a hook, each declared once.

A setting is a field of `HookFields`: its type, a `Setting`, and its default. All code that stores,
checks, sends, reads or shows settings iterates over `HOOK_SETTINGS`. Dataclasses and typing only:
`hooktui emit` imports this module.
"""

# No `from __future__ import annotations`: `settings_of` reads the annotations.

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Final

from hooktui.domain.schedule import (
    DEFAULT_SCHEDULE_S,
    check_schedule,
    describe_schedule,
    format_schedule,
    parse_schedule,
)
from hooktui.domain.setting import (
    DURATION,
    LIMIT,
    NAMES,
    Between,
    OneOf,
    Setting,
    TextFormat,
    describe_limit,
    either,
    number_of,
    settings_of,
)
from hooktui.domain.signatures import HASHES
from hooktui.domain.text import number_text

HOOK_TYPES: Final = ("web",)
"""The hook types that work."""

MAX_NAME, MAX_RATE_PER_S, MAX_TIMEOUT_S = 200, 100_000, 30
FIRST_BYTE_S: Final = 15
"""An attempt ends if no byte of a response has come by then, however long its deadline is."""
MIN_RATE_PER_S = 1e-5
"""Almost one delivery a day; far slower rates would have times outside the range of a clock."""


def check_name(name: str) -> str | None:
    """Return what is wrong with a name, or None."""
    if len(name) > MAX_NAME:
        return f"a name has at most {MAX_NAME} characters, this one has {len(name)}"
    if any(c in name for c in "\0\n\r\x0b\x0c\x85\u2028\u2029"):
        return "a name holds no NUL and no line breaks"
    return None


@dataclass(frozen=True, slots=True)
class BasicAuth:
    """HTTP basic authentication towards a receiver; the password is write-only."""

    user: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HookFields:
    """The settings of a hook, in the order of the API; the defaults are the contract's."""

    # Not settings: their place in the order of the API. `Hook` has these fields.
    id: ClassVar[int]
    account: ClassVar[int]

    type: Annotated[
        str,
        Setting(
            "type",
            f"one of: {', '.join(HOOK_TYPES)}",
            check=OneOf("hook type", HOOK_TYPES),
            basic=True,
        ),
    ] = "web"

    name: Annotated[
        str,
        Setting(
            "name", "a name for people", empty="the host of the URL", check=check_name, basic=True
        ),
    ] = ""

    url: Annotated[str, Setting("URL", "where to POST", basic=True)]

    events: Annotated[
        tuple[str, ...],
        Setting("events", "types and groups, as in job,cluster.error", text=NAMES, basic=True),
    ]

    active: Annotated[
        bool, Setting("active", "events are sent to it", shown=either("yes", "no"), basic=True)
    ] = True

    headers: Annotated[
        Mapping[str, str], Setting("headers", "headers of each request", empty="none")
    ] = field(default_factory=dict, repr=False)

    sensitive_headers: Annotated[
        tuple[str, ...],
        Setting("secret headers", "headers with write-only values", empty="none", text=NAMES),
    ] = ()

    basic_auth: Annotated[
        BasicAuth | None,
        Setting(
            "basic auth",
            "basic authentication at the receiver",
            empty="none",
            shown="as {0.user}".format,
        ),
    ] = None

    signature_hash: Annotated[
        str,
        Setting(
            "signature",
            "hash of X-Hook-Signature: sha256, sha1 or sha512",
            check=OneOf("hash", HASHES),
            shown="{} in X-Hook-Signature".format,
        ),
    ] = "sha256"

    verify_tls: Annotated[
        bool,
        Setting(
            "TLS",
            "verify the receiver's certificate",
            shown=either("verified", "NOT verified"),
            caution="anyone on the way can read and change deliveries",
        ),
    ] = True

    timeout_s: Annotated[
        float,
        Setting(
            "deadline",
            f"the deadline of one attempt, 1s to {MAX_TIMEOUT_S}s; a response must begin within"
            f" {FIRST_BYTE_S}s",
            option="timeout",
            text=DURATION,
            check=Between("timeout_s", 1, MAX_TIMEOUT_S, "s"),
        ),
    ] = MAX_TIMEOUT_S

    retry_schedule_s: Annotated[
        tuple[float, ...],
        Setting(
            "retries",
            "waits before each further attempt, as in 5s,5m,2h",
            empty="no retries",
            option="retry-schedule",
            text=TextFormat(parse_schedule, format_schedule),
            check=check_schedule,
            shown=describe_schedule,
        ),
    ] = DEFAULT_SCHEDULE_S

    rate_per_s: Annotated[
        float | None,
        Setting(
            "rate",
            "deliveries a second at most",
            empty="no limit",
            option="rate",
            text=number_of("deliveries a second"),
            check=Between("rate_per_s", MIN_RATE_PER_S, MAX_RATE_PER_S, "deliveries a second"),
            shown=lambda rate: (
                f"{number_text(rate)} {'delivery' if rate == 1 else 'deliveries'} a second"
            ),
        ),
    ] = None

    max_in_flight: Annotated[
        int | None,
        Setting(
            "at once",
            "attempts at the same time: auto, auto:N (at most N) or 1 to 1000",
            text=LIMIT,
            with_setting="max_in_flight_cap",
            check=Between("max_in_flight", 1, 1000),
            shown=describe_limit,
        ),
    ] = None

    max_in_flight_cap: Annotated[
        int | None,
        Setting(
            "at once, auto",
            "the most that auto sends at the same time, 1 to 1000",
            empty="the server's limit",
            check=Between("max_in_flight_cap", 1, 1000),
        ),
    ] = None

    ordered: Annotated[
        bool,
        Setting(
            "order",
            "send one after another, in the order of the events",
            shown=either("one after another", "side by side"),
            caution="a failing delivery then blocks the later ones",
        ),
    ] = False

    filter: Annotated[
        str | None,
        Setting("filter", "only events that match, as in data.cluster_id:52", empty="all events"),
    ] = None


HOOK_SETTINGS: Final = settings_of(HookFields)
"""All settings of a hook by name, in their order."""

SHOWN_SETTINGS: Final = tuple(
    one
    for name, one in HOOK_SETTINGS.items()
    if name not in {other.with_setting for other in HOOK_SETTINGS.values()}
)
"""The settings that people read and write; one text may give two of them."""
